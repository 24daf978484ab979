"""The pages and the buttons: one module for each page. A view finds something, calls one verb on it, and redirects."""

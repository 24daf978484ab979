"""The extensions, one instance each, waiting for an application.

Apart from the factory so that models, views and jobs can import them without importing the factory.
"""

from flask_login import LoginManager
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect

from app.database import Base
from app.environment import ROOT
from flask_litestream import FlaskLitestream
from flask_queue import FlaskQueue

db = SQLAlchemy(model_class=Base)
migrate = Migrate(directory=str(ROOT / "migrations"))
login_manager = LoginManager()
csrf = CSRFProtect()
queue = FlaskQueue()
litestream = FlaskLitestream()

login_manager.login_view = "accounts.login"
login_manager.login_message = "Please log in first."
login_manager.login_message_category = "info"

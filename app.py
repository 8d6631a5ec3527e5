"""The dashboard: ``streamlit run app.py``."""

from pages.components.setup import navigation

navigation().run()

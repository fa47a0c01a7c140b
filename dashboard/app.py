"""Opens the house: the five pages, their order and their names in the navigation."""

from __future__ import annotations

import streamlit as st

from dashboard.server import serve
from dashboard.widgets import GLYPH, LOGO, dress

__all__ = ["main", "serve"]


def main() -> None:
    """Show the navigation and run the page that the reader is on."""
    st.set_page_config(page_title="Sundial", page_icon="◔", layout="wide")
    st.logo(LOGO, size="large", icon_image=GLYPH)
    dress()
    page = st.navigation(
        [
            st.Page("views/adoption_map.py", title="Adoption map", icon=":material/grid_on:",
                    default=True),
            st.Page("views/app.py", title="App", icon=":material/apps:", url_path="app"),
            st.Page("views/department.py", title="Department", icon=":material/groups:",
                    url_path="department"),
            st.Page("views/unknown_hosts.py", title="Unknown hosts",
                    icon=":material/travel_explore:", url_path="unknown-hosts"),
            st.Page("views/data_health.py", title="Data health",
                    icon=":material/monitor_heart:", url_path="data-health"),
        ]
    )  # fmt: skip
    page.run()


if __name__ == "__main__":
    main()

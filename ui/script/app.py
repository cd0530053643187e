"""The script that Streamlit runs for every session and interaction."""

from ui.shell import show

show()

"""The script that Streamlit runs for every session and every change of one."""

from ui.shell import show

show()

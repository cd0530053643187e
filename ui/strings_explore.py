"""Texts of the explore page, in one place for translators."""

from __future__ import annotations

VIEW = "View"
MAP, TIMELINE, WORLD = "Map", "Timeline", "World"

EMPTY = "No pictures yet."
SHOW_SELECTED = "Search in these {count} pictures"
SHOW_SELECTED_ONE = "Search this picture"
SELECTED = "Selected pictures"
SOME_SHOWN = "The first {shown} of {count}."
NOTHING_SELECTED = "No pictures selected."
NO_PREVIEW = "No preview"

DRAWING_MAP = "Drawing the map…"
NAMING = "Naming the groups…"
WORLD_EXTRA = "For an interactive world map: pip install 'clipsearch[map]'"
MAP_EXTRA = "For a map by nearest neighbors (UMAP): pip install 'clipsearch[map]'"
MAP_HELP = (
    "Each point is a picture, and similar pictures are close together. Select pictures with a box or a shape. Zoom "
    "with the mouse wheel, two fingers, or the buttons."
)
MAP_WORDS = {
    "tools": "Map tools",
    "box": "Select by box",
    "shape": "Select by shape",
    "move": "Move",
    "closer": "Zoom in",
    "farther": "Zoom out",
    "all": "Show all",
}
MAP_BEING_DRAWN = "This is a preliminary map. A better one is being computed in the background."
LOOK_AGAIN = "Refresh"
MAP_PROBLEM = "The map could not be computed: {problem}"
MAP_SAMPLED = "The map shows {shown} of {count} pictures; a selection includes all of them."
MAP_ALT = "Map of {count} pictures in {groups} groups of similar pictures. {largest}"
MAP_ALT_GROUP = "{name}: {count} pictures."
GROUP = "Group"
GROUP_HELP = "Select the center of a group on the map."
ANY_GROUP = "Choose a group"
GROUP_OPTION = "{name} ({count})"
GROUP_NUMBER = "Group {number}"
GROUPS_UNNAMED = "The groups could not be named: {error}"

TIMELINE_HELP = (
    "Pictures by the date they were taken. Click a bar, drag over several, or choose months below. Click the selection "
    "again to clear it."
)
MONTHS = "From and to"
PERIOD = "Each bar is"
MONTH, YEAR = "a month", "a year"
NO_DATES = "No picture has a date."
UNDATED = "{files} without a date."
TIMELINE_ALT = "Pictures over time, from {first} to {last}; most in {most}, with {count}."
BAR = "{period}: {files}"
MOST = "maximum: {files}"
PERIOD_RANGE = "{first} to {last}"

WORLD_HELP = "Pictures by the place they were taken. Draw a box around places, or choose one in the list."
NO_PLACES = "No picture has a place."
PLACE = "Place"
ANY_PLACE = "Choose a place"
PLACE_OPTION = "{place} ({count})"
NORTH, SOUTH, EAST, WEST = "{degrees}° N", "{degrees}° S", "{degrees}° E", "{degrees}° W"
SPOT = "{place}: {count} pictures"
WORLD_ALT = "World map of {count} pictures at {spots} places; most at {most}."

"""Every English text of the explore page, in one place for translators."""

from __future__ import annotations

VIEW = "View"
MAP, TIMELINE, WORLD = "Map", "Timeline", "World"

EMPTY = "There are no pictures in the library yet."
SHOW_SELECTED = "Search among these {count} pictures"
SHOW_SELECTED_ONE = "Search for this picture"
SELECTED = "Selected pictures"
SOME_SHOWN = "The first {shown} of {count}."
NOTHING_SELECTED = "There are no pictures there."
NO_PREVIEW = "No preview"

DRAWING_MAP = "Placing the pictures…"
NAMING = "Naming the groups…"
WORLD_EXTRA = "A world map to select on needs: pip install 'clipsearch[map]'"
MAP_EXTRA = "A better map, by nearest neighbors, needs: pip install 'clipsearch[map]'"
MAP_HELP = (
    "Every point is a picture; pictures that show similar things lie together. Draw a box or a shape around some to "
    "see them and to search among them. Zoom with the wheel, two fingers, or the buttons above the map."
)
MAP_WORDS = {
    "tools": "Map tools",
    "box": "Select a box",
    "shape": "Select a shape",
    "move": "Move",
    "closer": "Zoom in",
    "farther": "Zoom out",
    "all": "Show all",
}
MAP_BEING_DRAWN = "This is a first sketch. A better map is being drawn in the background; you can go on meanwhile."
LOOK_AGAIN = "Look again"
MAP_PROBLEM = "A better map could not be drawn: {problem}"
MAP_SAMPLED = "{shown} of {count} pictures are drawn; selections take in all of them."
MAP_ALT = "Map of {count} pictures in {groups} groups by what they show. {largest}"
MAP_ALT_GROUP = "{name}: {count} pictures."
GROUP = "Group"
GROUP_HELP = "Selects the middle of a group on the map."
ANY_GROUP = "Choose a group"
GROUP_OPTION = "{name} ({count})"
GROUP_NUMBER = "Group {number}"
GROUPS_UNNAMED = "The groups have no names: {error}"

TIMELINE_HELP = (
    "When the pictures were taken. Click a bar or drag over some, or choose the months below them; the same once more "
    "chooses all again."
)
MONTHS = "From and to"
PERIOD = "Each bar is"
MONTH, YEAR = "a month", "a year"
NO_DATES = "None of the pictures says when it was taken."
UNDATED = "{files} without a date."
TIMELINE_ALT = "Pictures over time, from {first} to {last}; most in {most}, with {count}."
BAR = "{period}: {files}"
MOST = "{files} at most"
PERIOD_RANGE = "{first} to {last}"

WORLD_HELP = "Where the pictures were taken. Draw a box around some places, or choose one in the list."
NO_PLACES = "None of the pictures says where it was taken."
PLACE = "Place"
ANY_PLACE = "Choose a place"
PLACE_OPTION = "{latitude}, {longitude} ({count})"
NORTH, SOUTH, EAST, WEST = "{degrees}° N", "{degrees}° S", "{degrees}° E", "{degrees}° W"
SPOT = "{count} pictures"
WORLD_ALT = "World map with the places of {count} pictures at {spots} spots; most at {most}."

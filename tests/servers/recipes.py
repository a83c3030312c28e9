"""Every server that `make servers` makes, in the order in which it does."""

from __future__ import annotations

from typing import Final

from servers.cache import Recipe
from servers.collector import CollectorRecipe
from servers.jaeger import JaegerRecipe
from servers.timescale_apache import TimescaleApacheRecipe
from servers.timescale_community import TimescaleCommunityRecipe

_ALL: tuple[Recipe, ...] = (TimescaleCommunityRecipe(), TimescaleApacheRecipe(), CollectorRecipe(), JaegerRecipe())

RECIPES: Final = {recipe.name: recipe for recipe in _ALL}
"""By name."""

"""A group-buy: campaign, joins, opening and verdict."""

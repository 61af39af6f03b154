"""The tables of inventory: `stock` changes them in a transaction through `store`, `queries` are the API's reads."""

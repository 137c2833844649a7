"""Strategies against each other: which would spread in a street if everybody could choose."""

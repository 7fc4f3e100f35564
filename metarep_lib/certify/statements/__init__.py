"""Theorems as numbers, a module a chapter: a value, and what bounds it."""

"""The checker that pytest applies to every annotation of the library, shapes included (see pyproject.toml)."""

from beartype import BeartypeConf, beartype

# As in PEP 484, an int will do where a float is asked for.
typechecked = beartype(conf=BeartypeConf(is_pep484_tower=True))

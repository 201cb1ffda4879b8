from tests.warehouse.conftest import land, query, store, url  # noqa: F401 - fixtures

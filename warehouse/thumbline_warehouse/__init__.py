"""Where events land: tables and views in DuckDB over DuckLake, and the exports made from them."""

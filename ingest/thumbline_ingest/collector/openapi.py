def openapi_json() -> bytes:
    return b"{}"

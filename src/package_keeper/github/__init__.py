"""The wire: REST client, http_client and retries, and who the owner is. The only room that speaks HTTP."""

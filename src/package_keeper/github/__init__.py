"""The wire: REST client, transport and retries, and who the owner is. The only room that speaks HTTP."""

"""How operators' webhooks are told: signed JSON by HTTPS, to addresses that may be reached."""

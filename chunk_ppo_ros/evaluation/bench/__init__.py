"""How long acting, updating, observing and the topics take."""

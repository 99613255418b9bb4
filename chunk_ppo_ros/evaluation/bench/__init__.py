"""Measures the time of acting, updating, observing, and sending over topics."""

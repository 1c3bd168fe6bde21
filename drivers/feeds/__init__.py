"""Feeds: published forecasts of prices, weather and carbon intensity, from a file or an address."""

"""Feeds: published forecasts of prices, weather and carbon intensity, from a file or an address."""

from drivers.feeds.series import FeedError, ForecastSeries, parse_document
from drivers.feeds.sources import FileFeed, HttpFeed

__all__ = ["FeedError", "FileFeed", "ForecastSeries", "HttpFeed", "parse_document"]

"""What yt-dlp reads from YouTube (2026); the fields without a default are those we cannot do without."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class _Shape(BaseModel):
    model_config = ConfigDict(extra="allow")


class Entry(_Shape):
    """A video in the answer to a search."""

    id: str
    title: str
    availability: str | None = None
    channel: str | None = None
    channel_id: str | None = None
    channel_is_verified: bool | None = None
    channel_url: str | None = None
    concurrent_view_count: int | None = None
    description: str | None = None
    duration: float | None = None
    ie_key: str | None = None
    live_status: str | None = None
    release_timestamp: int | None = None
    timestamp: int | None = None
    uploader: str | None = None
    uploader_id: str | None = None
    uploader_url: str | None = None
    url: str | None = None
    view_count: int | None = None


class Search(_Shape):
    """`ytsearchN:` with flat entries."""

    entries: list[Entry]
    id: str | None = None
    title: str | None = None
    extractor: str | None = None
    extractor_key: str | None = None
    original_url: str | None = None
    playlist_count: int | None = None
    release_year: int | None = None
    view_count: int | None = None
    webpage_url: str | None = None
    webpage_url_basename: str | None = None
    webpage_url_domain: str | None = None


class Video(Entry):
    """A video alone."""

    # The next five yt-dlp adds to whatever an extractor read.
    extractor: str | None = None
    extractor_key: str | None = None
    original_url: str | None = None
    webpage_url_basename: str | None = None
    webpage_url_domain: str | None = None
    age_limit: int | None = None
    album: str | None = None
    artists: list[str] | None = None
    artist: str | None = None
    average_rating: float | None = None
    categories: list[str] | None = None
    channel_follower_count: int | None = None
    chapters: list[Any] | None = None
    comment_count: int | None = None
    creators: list[str] | None = None
    is_live: bool | None = None
    language: str | None = None
    license: str | None = None
    like_count: int | None = None
    media_type: str | None = None
    playable_in_embed: bool | None = None
    release_date: str | None = None
    release_year: int | None = None
    tags: list[str] | None = None
    thumbnail: str | None = None
    track: str | None = None
    upload_date: str | None = None
    was_live: bool | None = None
    webpage_url: str | None = None

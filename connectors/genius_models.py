"""What Genius answers, as seen from 2020 to 2025; the fields without a default are those we cannot do without."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class _Shape(BaseModel):
    model_config = ConfigDict(extra="allow")


class Artist(_Shape):
    """Who made a song."""

    id: int
    name: str
    url: str | None = None
    api_path: str | None = None
    header_image_url: str | None = None
    image_url: str | None = None
    index_character: str | None = None
    slug: str | None = None
    is_meme_verified: bool | None = None
    is_verified: bool | None = None
    iq: int | None = None


class Hit(_Shape):
    """A song as a search gives it."""

    id: int
    title: str
    url: str
    path: str
    primary_artist: Artist
    annotation_count: int | None = None
    api_path: str | None = None
    artist_names: str | None = None
    featured_artists: list[Artist] | None = None
    full_title: str | None = None
    header_image_thumbnail_url: str | None = None
    header_image_url: str | None = None
    instrumental: bool | None = None
    language: str | None = None
    lyrics_owner_id: int | None = None
    lyrics_state: str | None = None
    lyrics_updated_at: int | None = None
    primary_artist_names: str | None = None
    primary_artists: list[Artist] | None = None
    pyongs_count: int | None = None
    relationships_index_url: str | None = None
    release_date_components: dict[str, int | None] | None = None
    release_date_for_display: str | None = None
    release_date_with_abbreviated_month_for_display: str | None = None
    song_art_image_thumbnail_url: str | None = None
    song_art_image_url: str | None = None
    stats: dict[str, Any] | None = None
    title_with_featured: str | None = None
    updated_by_human_at: int | None = None


class SearchHit(_Shape):
    """One line of a search's answer."""

    result: Hit
    type: str
    index: str | None = None
    highlights: list[Any] | None = None


class Search(_Shape):
    """GET /search, without its envelope."""

    hits: list[SearchHit]


class SongBody(Hit):
    """A song alone."""

    album: dict[str, Any] | None = None
    albums: list[Any] | None = None
    apple_music_id: str | None = None
    apple_music_player_url: str | None = None
    current_user_metadata: dict[str, Any] | None = None
    custom_performances: list[Any] | None = None
    custom_song_art_image_url: str | None = None
    description: Any = None
    description_annotation: dict[str, Any] | None = None
    description_preview: str | None = None
    embed_content: str | None = None
    explicit: bool | None = None
    fact_track: dict[str, Any] | None = None
    featured_video: bool | None = None
    has_instagram_reel_annotations: bool | None = None
    hidden: bool | None = None
    is_music: bool | None = None
    lyrics_marked_complete_by: Any = None
    lyrics_marked_staff_approved_by: Any = None
    lyrics_placeholder_reason: str | None = None
    lyrics_verified: bool | None = None
    media: list[Any] | None = None
    primary_tag: dict[str, Any] | None = None
    producer_artists: list[Any] | None = None
    published: bool | None = None
    recording_location: str | None = None
    release_date: str | None = None
    song_art_primary_color: str | None = None
    song_art_secondary_color: str | None = None
    song_art_text_color: str | None = None
    song_relationships: list[Any] | None = None
    tags: list[Any] | None = None
    tracking_data: list[Any] | None = None
    transcription_priority: str | None = None
    translation_songs: list[Any] | None = None
    verified_annotations_by: list[Any] | None = None
    verified_contributors: list[Any] | None = None
    verified_lyrics_by: list[Any] | None = None
    vtt: Any = None
    writer_artists: list[Any] | None = None
    youtube_url: str | None = None


class Song(_Shape):
    """GET /songs/ID, without its envelope."""

    song: SongBody


class SongPage(_Shape):
    """A page of genius.com; what it says is for `lyrics_of`."""

    html: str

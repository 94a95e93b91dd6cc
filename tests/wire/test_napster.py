"""Every message as the protocol document writes it, by hand."""

import pytest
from hypothesis import given, strategies as st

from p2pswarm.errors import LocalProtocolError, RemoteProtocolError
from p2pswarm.wire import napster
from p2pswarm.wire.fields import as_bytes, as_text, ip_number, number_ip, split
from p2pswarm.wire.framer import Scratch
from p2pswarm.wire.napster import (
    MAX_COMMAND,
    MAX_DIRECTORY,
    Bounds,
    Malformed,
    Message,
    NapsterFramer,
    Search,
    Share,
    ShareDirectory,
    Unknown,
)
from tests.support.feeding import chunkings, feed, feed_interleaved, feed_until_error

MD5 = "b92870e0d41bc8e698cf2f0a1ddfeac7"
SONG = "generic band - generic song.mp3"
SHA1, BTIH = "a" * 40, "b" * 40

# number, line, message
ON_THE_WIRE: list[tuple[int, str, Message]] = [
    (0, "Invalid Password", napster.Error("Invalid Password")),
    (2, 'foo badpass 6699 "nap v0.8" 3', napster.Login("foo", "badpass", 6699, "nap v0.8", 3)),
    (3, "anon@napster.com", napster.LoginAck("anon@napster.com")),
    (4, "2.0", napster.VersionCheck("2.0")),
    (
        6,
        'foo foo 6699 "nap v0.8" 3 email@here.com',
        napster.Register("foo", "foo", 6699, "nap v0.8", 3, "email@here.com"),
    ),
    (7, "foo", napster.NickCheck("foo")),
    (8, "", napster.NickFree()),
    (9, "", napster.NickTaken()),
    (10, "", napster.NickInvalid()),
    (100, f'"{SONG}" {MD5} 443332 128 44100 60', Share(SONG, MD5, 443332, 128, 44100, 60)),
    (102, SONG, napster.Unshare(SONG)),
    (110, "", napster.UnshareAll()),
    (110, "7", napster.UnshareAll(7)),
    (
        200,
        'FILENAME CONTAINS "a b" MAX_RESULTS 75 FILENAME EXCLUDES "live" BITRATE "AT LEAST" "160"',
        Search("a b", "live", 75, bitrate=Bounds(160)),
    ),
    (
        201,
        f'"{SONG}" {MD5} 2558199 128 44100 159 lefty 17107762 4',
        napster.SearchResult(SONG, MD5, 2558199, 128, 44100, 159, "lefty", "50.11.5.1", 4),
    ),
    (202, "", napster.SearchEnd()),
    (
        203,
        'mred "C:\\Program Files\\generic cowboy song.mp3"',
        napster.Download("mred", "C:\\Program Files\\generic cowboy song.mp3"),
    ),
    (
        204,
        f'lefty 17107762 6699 "{SONG}" {MD5} 3',
        napster.DownloadAck("lefty", "50.11.5.1", 6699, SONG, MD5, 3),
    ),
    (205, "mred hello  there", napster.PrivateMessage("mred", "hello  there")),
    (206, f'mred "{SONG}"', napster.DownloadError("mred", SONG)),
    (207, "mred", napster.HotlistAdd("mred")),
    (208, "mred", napster.Hotlist("mred")),
    (209, "mred 4", napster.SignOn("mred", 4)),
    (210, "mred", napster.SignOff("mred")),
    (211, "mred", napster.Browse("mred")),
    (
        212,
        f'foouser "{SONG}" {MD5} 443332 128 44100 60',
        napster.BrowseResult("foouser", SONG, MD5, 443332, 128, 44100, 60),
    ),
    (213, "foouser", napster.BrowseEnd("foouser")),
    (213, "foouser 17107762", napster.BrowseEnd("foouser", "50.11.5.1")),
    (214, "", napster.Stats()),
    (214, "553 64692 254", napster.Stats(553, 64692, 254)),
    (215, f"{MD5} 443332", napster.HashLookup(MD5, 443332)),
    (
        216,
        f'lefty 17107762 6699 "{SONG}" {MD5} 443332 3',
        napster.HashMatch("lefty", "50.11.5.1", 6699, SONG, MD5, 443332, 3),
    ),
    (217, "", napster.HashEnd()),
    (218, "", napster.Downloading()),
    (219, "", napster.Downloaded()),
    (220, "", napster.Uploading()),
    (221, "", napster.Uploaded()),
    (300, "6699", napster.AlternatePort(6699)),
    (301, "mred", napster.HotlistAck("mred")),
    (302, "mred", napster.HotlistError("mred")),
    (303, "mred", napster.HotlistRemove("mred")),
    (320, "", napster.IgnoreList()),
    (321, "mred", napster.IgnoreEntry("mred")),
    (322, "mred", napster.Ignore("mred")),
    (323, "mred", napster.Unignore("mred")),
    (324, "mred", napster.NotIgnored("mred")),
    (325, "mred", napster.AlreadyIgnored("mred")),
    (326, "3", napster.IgnoreNobody(3)),
    (404, "permission denied", napster.NoSuch("permission denied")),
    (500, f'mred "{SONG}"', napster.PushRequest("mred", SONG)),
    (
        501,
        f'lefty 17107762 6699 "{SONG}" {MD5} 3',
        napster.PushAck("lefty", "50.11.5.1", 6699, SONG, MD5, 3),
    ),
    (600, "mred", napster.SpeedRequest("mred")),
    (601, "mred 10", napster.SpeedReply("mred", 10)),
    (603, "mred", napster.Whois("mred")),
    (
        604,
        'lefty "User" 1203 "80\'s " "Active" 0 0 0 3 "nap v0.8"',
        napster.WhoisReply("lefty", "User", 1203, "80's ", "Active", 0, 0, 0, 3, "nap v0.8"),
    ),
    (605, 'lefty "User" 947304224', napster.WhowasReply("lefty", "User", 947304224)),
    (607, f'lefty "{SONG}"', napster.UploadRequest("lefty", SONG)),
    (607, f'lefty "{SONG}" 3', napster.UploadRequest("lefty", SONG, 3)),
    (608, f'lefty "{SONG}"', napster.UploadAccept("lefty", SONG)),
    (609, f'lefty "{SONG}"', napster.UploadRefuse("lefty", SONG)),
    (617, "", napster.Channels()),
    (619, f'joebob "{SONG}" 3', napster.QueueLimit("joebob", SONG, 3)),
    (620, f'joebob "{SONG}" 1234567 3', napster.QueueLimited("joebob", SONG, 1234567, 3)),
    (621, "", napster.Motd()),
    (621, " welcome ", napster.Motd(" welcome ")),
    (626, "mred", napster.DataPortError("mred")),
    (640, "mred", napster.DirectBrowse("mred")),
    (640, "mred 17107762 6699", napster.DirectBrowse("mred", "50.11.5.1", 6699)),
    (641, "mred 17107762 6699", napster.DirectBrowseAck("mred", "50.11.5.1", 6699)),
    (642, 'mred "not here"', napster.DirectBrowseError("mred", "not here")),
    (700, "10", napster.ChangeSpeed(10)),
    (701, "newpass", napster.ChangePassword("newpass")),
    (702, "a@b.c", napster.ChangeEmail("a@b.c")),
    (703, "6700", napster.ChangePort(6700)),
    (750, "", napster.PingServer()),
    (751, "mred", napster.Ping("mred")),
    (752, "mred 17", napster.Pong("mred", "17")),
    (
        870,
        f'"C:\\music" "a.mp3" {MD5} 1 2 3 4 "b.mp3" {MD5} 5 6 7 8',
        ShareDirectory(
            "C:\\music", [Share("a.mp3", MD5, 1, 2, 3, 4), Share("b.mp3", MD5, 5, 6, 7, 8)]
        ),
    ),
    (10300, f'"a.iso" 700 {MD5} application', napster.ShareTyped("a.iso", 700, MD5, "application")),
    (0x7000, "p2pswarm/0.1.0 1", napster.Greeting("p2pswarm/0.1.0 1")),
    (0x7001, f'"{SONG}" {SHA1} -', napster.ShareNote(SONG, SHA1, "-")),
    (
        0x7002,
        f'lefty "{SONG}" {SHA1} {BTIH} 46881',
        napster.HitNote("lefty", SONG, SHA1, BTIH, 46881),
    ),
    (0x7003, f"btih {BTIH}", napster.HashSearch("btih", BTIH)),
]
LATIN = as_text("caf\u00e9.mp3".encode("latin-1"))

words = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"'), min_size=1
)
names = st.binary().map(as_text).filter(lambda text: not any(c < " " or c in '"\x7f' for c in text))
numbers = st.integers(0, 2**63 - 1)
ips = st.ip_addresses(v=4).map(str)
messages: st.SearchStrategy[Message] = st.one_of(
    st.builds(napster.Login, words, words, numbers, names, numbers),
    st.builds(Share, names, words, numbers, numbers, numbers, numbers),
    st.builds(napster.SearchResult, names, words, *[numbers] * 4, words, ips, numbers),
    st.builds(napster.DownloadAck, words, ips, numbers, names, words, numbers),
    st.builds(napster.HitNote, words, names, words, words, numbers),
    st.builds(napster.UploadRequest, words, names, st.none() | numbers),
    st.builds(napster.DirectBrowse, words, ips, numbers),
    st.builds(ShareDirectory, names, st.lists(st.builds(Share, names, words, numbers), min_size=1)),
    st.builds(napster.SignOff, words),
    st.builds(napster.SearchEnd),
)


def frame(number: int, data: bytes) -> bytes:
    return len(data).to_bytes(2, "little") + number.to_bytes(2, "little") + data


@pytest.mark.parametrize(("number", "line", "message"), ON_THE_WIRE, ids=lambda v: str(v)[:20])
def test_messages_are_read_as_the_document_says(number: int, line: str, message: Message) -> None:
    assert feed(NapsterFramer(), frame(number, line.encode())) == [message]


@pytest.mark.parametrize(("number", "line", "message"), ON_THE_WIRE, ids=lambda v: str(v)[:20])
def test_messages_are_written_as_the_document_says(
    number: int, line: str, message: Message
) -> None:
    assert message.encode() == frame(number, line.encode())


def test_the_table_has_every_message() -> None:
    shapes = {"AboutFile", "AboutNick", "Bare", "Count", "Message", "NickText", "Text"}
    every = {
        name
        for name in napster.__all__
        if isinstance(kind := getattr(napster, name), type) and issubclass(kind, Message)
    } - shapes
    assert every == {type(message).__name__ for _, _, message in ON_THE_WIRE}


@pytest.mark.parametrize("message", [message for _, _, message in ON_THE_WIRE], ids=repr)
def test_a_layout_tells_of_the_same_fields_as_its_class(message: Message) -> None:
    if type(message) not in (Search, ShareDirectory):
        message.check()


@pytest.mark.parametrize("chunk", [1, 2, 13, 1000, 1 << 20])
def test_every_message_survives_any_chunk(chunk: int) -> None:
    data = b"".join(frame(number, line.encode()) for number, line, _ in ON_THE_WIRE)
    assert feed(NapsterFramer(), data, [chunk]) == [message for _, _, message in ON_THE_WIRE]


@given(st.lists(messages), chunkings)
def test_back_to_back(sent: list[Message], sizes: list[int]) -> None:
    data = b"".join(message.encode() for message in sent)
    assert feed(NapsterFramer(most=0xFFFF), data, sizes) == sent


@given(st.lists(st.lists(messages), min_size=2, max_size=3), st.data())
def test_many_framers_share_one_scratch(sent: list[list[Message]], data: st.DataObject) -> None:
    scratch = Scratch()
    turns = data.draw(st.lists(st.tuples(st.integers(0, len(sent) - 1), st.integers(1, 99))))
    streams = [b"".join(message.encode() for message in some) for some in sent]
    framers = [NapsterFramer(scratch, most=0xFFFF) for _ in sent]
    assert feed_interleaved(framers, streams, turns) == sent


@given(st.binary(max_size=400), chunkings)
def test_junk_is_cut_or_refused(data: bytes, sizes: list[int]) -> None:
    messages, error = feed_until_error(NapsterFramer(most=MAX_COMMAND), data, sizes)
    assert error is None or isinstance(error, RemoteProtocolError)
    assert all(isinstance(message, Message | Unknown | Malformed) for message in messages)


@given(st.sampled_from([number for number, _, _ in ON_THE_WIRE]), st.binary(max_size=200))
def test_any_line_of_any_message_is_read_or_malformed(number: int, data: bytes) -> None:
    (message,) = feed(NapsterFramer(), frame(number, data))
    assert isinstance(message, Malformed) or message.number == number  # type: ignore[attr-defined]


@given(st.sampled_from([number for number, _, _ in ON_THE_WIRE]), st.text(max_size=60))
def test_what_was_read_can_be_written_and_read_again(number: int, line: str) -> None:
    data = line.encode("utf-8", "replace")
    (message,) = feed(NapsterFramer(), frame(number, data))
    if isinstance(message, Message):
        assert feed(NapsterFramer(), message.encode()) == [message]


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (2, "foo"),
        (2, 'foo bar port "nap" 3'),
        (2, 'foo "two words" 6699 "nap" 3'),
        (2, 'foo "" 6699 "nap" 3'),
        (100, f'"a.mp3" {MD5} 1e9 0 0 0'),
        (100, f'"a.mp3" {MD5} 99999999999999999999 0 0 0'),
        (100, f'"a.mp3" {MD5} \u0664 0 0 0'),
        (100, f'"a\x00.mp3" {MD5} 1 0 0 0'),
        (100, f'a"b.mp3 {MD5} 1 0 0 0'),
        (200, "FILENAME CONTAINS"),
        (200, 'FILENAME LIKES "a"'),
        (200, 'BITRATE "ABOUT" "1"'),
        (200, 'FILENAME CONTAINS "a "quoted" string" MAX_RESULTS 1'),
        (200, "MAX_RESULTS many"),
        (203, "mred"),
        (205, "mred"),
        (216, f'lefty 4294967296 6699 "a" {MD5} 1 3'),
        (870, '"C:\\music"'),
        (870, f'"C:\\music" "a.mp3" {MD5} 1 2 3'),
        (870, ""),
    ],
)
def test_a_line_that_says_something_else_is_malformed(number: int, line: str) -> None:
    (message,) = feed(NapsterFramer(), frame(number, line.encode()))
    assert isinstance(message, Malformed)
    assert message.number == number
    assert message.why


def test_unknown_numbers_are_handed_on() -> None:
    assert feed(NapsterFramer(), frame(12345, b"\xff\0")) == [Unknown(12345, b"\xff\0")]


def test_a_frame_beyond_the_limit_is_refused_when_its_head_is_there() -> None:
    framer = NapsterFramer(most=MAX_COMMAND)
    assert feed(framer, frame(404, b"x" * MAX_COMMAND)) == [napster.NoSuch("x" * MAX_COMMAND)]
    with pytest.raises(RemoteProtocolError, match="message 404 of 2049 bytes"):
        feed(framer, frame(404, b"x" * (MAX_COMMAND + 1))[:4])


def test_only_a_directory_may_be_longer() -> None:
    file = f' "a" {MD5} 1 0 0 0'
    line = '"d"' + file * ((MAX_DIRECTORY - 3) // len(file))
    (message,) = feed(NapsterFramer(most=MAX_COMMAND), frame(870, line.encode()))
    assert isinstance(message, ShareDirectory)
    with pytest.raises(RemoteProtocolError):
        feed(NapsterFramer(most=MAX_COMMAND), frame(870, b"x" * (MAX_DIRECTORY + 1))[:4])


def test_bytes_that_are_no_utf8_are_written_as_they_were_read() -> None:
    wire = frame(100, b'"caf\xe9.mp3" ' + MD5.encode() + b" 1 0 0 0")
    (share,) = feed(NapsterFramer(), wire)
    assert isinstance(share, Share)
    assert share.name == LATIN
    assert share.encode() == wire


def test_what_programs_do_differently_is_understood() -> None:
    read = lambda number, line: feed(NapsterFramer(), frame(number, line))[0]  # noqa: E731
    assert read(2, b'foo bar 6699 "nap v0.8" "3" extra fields') == napster.Login(
        "foo", "bar", 6699, "nap v0.8", 3
    )
    assert read(206, b"mred song.mp3") == napster.DownloadError("mred", "song.mp3")
    assert read(100, b'"a" ' + MD5.encode() + b" 1 -1 0 0") == Share("a", MD5, 1)
    assert read(205, b"mred a\x1b[2Jb") == napster.PrivateMessage("mred", "a [2Jb")
    assert read(3, b"") == napster.LoginAck()


@pytest.mark.parametrize(
    ("line", "search"),
    [
        (
            'FILENAME CONTAINS "Sneaker Pimps" MAX_RESULTS 75 FILENAME CONTAINS "tesko suicide" '
            'BITRATE "AT LEAST" "128"',
            Search("Sneaker Pimps tesko suicide", most=75, bitrate=Bounds(128)),
        ),
        (
            'MAX_RESULTS 100 FILENAME CONTAINS "Ventolin" LINESPEED "EQUAL TO" 10',
            Search("Ventolin", most=100, speed=Bounds(10, 10)),
        ),
        (
            'filename contains "a" freq "at best" "44100" bitrate "at least" "1" bitrate "at best" "9"',
            Search("a", bitrate=Bounds(1, 9), frequency=Bounds(high=44100)),
        ),
        (
            'FILENAME CONTAINS "a" WMA-FILE LOCAL_ONLY TYPE audio SIZE "AT LEAST" 5 DURATION "AT BEST" 9',
            Search("a", size=Bounds(5), seconds=Bounds(high=9), type="audio", local_only=True),
        ),
    ],
)
def test_searches(line: str, search: Search) -> None:
    assert Search.read(line) == search
    assert Search.read(search.written()) == search


@given(
    st.builds(
        Search,
        words,
        st.just("") | words,
        st.none() | numbers,
        *[st.builds(Bounds, numbers, numbers).filter(lambda b: b.low <= b.high)] * 5,
        st.sampled_from(["", "audio", "any"]),
        st.booleans(),
    )
)
def test_a_search_survives(search: Search) -> None:
    assert Search.read(search.written()) == search


def test_bounds_include_their_ends() -> None:
    assert 128 in Bounds(128, 160)
    assert 160 in Bounds(128, 160)
    assert 127 not in Bounds(128, 160)
    assert 161 not in Bounds(128, 160)
    assert "128" not in Bounds(128, 160)


@pytest.mark.parametrize("directory", ["C:\\music", "C:\\music\\"])
def test_files_of_a_directory_have_full_names(directory: str) -> None:
    listed = ShareDirectory(directory, [Share("a.mp3", MD5, 1, 2, 3, 4)])
    assert list(listed.shares()) == [Share("C:\\music\\a.mp3", MD5, 1, 2, 3, 4)]
    assert next(iter(ShareDirectory("/music/", listed.files).shares())).name == "/music/a.mp3"


def test_addresses_are_numbers_in_little_endian() -> None:
    assert ip_number("50.11.5.1") == 17107762
    assert number_ip(17107762) == "50.11.5.1"
    with pytest.raises(ValueError, match="not an IPv4 address"):
        number_ip(1 << 32)


@given(ips)
def test_addresses_survive(ip: str) -> None:
    assert number_ip(ip_number(ip)) == ip


@given(st.text())
def test_text_survives(text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    assert as_bytes(as_text(data)) == data


def test_torrents_have_names() -> None:
    name = napster.torrent_name(bytes(range(20)))
    assert name == "p2pswarm:btih:000102030405060708090a0b0c0d0e0f10111213.torrent"
    assert napster.is_torrent_name(name)
    assert not napster.is_torrent_name(name.upper())
    assert not napster.is_torrent_name(f"x{name}")


def test_fields_are_split_at_blanks_and_quotes() -> None:
    assert split(' a  "b c"\t"" d"e "open') == ["a", "b c", "", 'd"e', "open"]


@pytest.mark.parametrize(
    "message",
    [
        napster.SignOff("two words"),
        napster.SignOff(""),
        napster.SignOff('a"b'),
        napster.DownloadError("mred", 'a "quoted" name'),
        napster.DownloadAck("mred", "::1", 1, "a", MD5, 0),
        napster.Motd("x" * 0x10000),
    ],
)
def test_what_cannot_be_said_is_our_own_fault(message: Message) -> None:
    with pytest.raises(LocalProtocolError):
        message.encode()

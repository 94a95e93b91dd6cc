import pytest

from p2pswarm.formats.zones import Zone, zone_of

HERE, NEAR, FAR = Zone.THIS_MACHINE, Zone.LOCAL_NETWORK, Zone.INTERNET


@pytest.mark.parametrize(
    ("host", "zone"),
    [
        ("127.0.0.1", HERE),
        ("127.1.2.3", HERE),
        ("0.0.0.0", HERE),
        ("::", HERE),
        ("::1", HERE),
        ("::1%1", HERE),
        ("::ffff:127.0.0.1", HERE),
        ("::127.0.0.1", HERE),
        ("::ffff:0:127.0.0.1", HERE),
        ("64:ff9b::7f00:1", HERE),
        ("2002:7f00:1::1", HERE),
        ("10.0.0.1", NEAR),
        ("169.254.169.254", NEAR),
        ("100.64.0.1", NEAR),
        ("::ffff:10.0.0.1", NEAR),
        ("64:ff9b::a00:1", NEAR),
        ("2002:a00:1::1", NEAR),
        ("fd00::1", NEAR),
        ("fe80::1%eth0", NEAR),
        ("fec0::1", NEAR),
        ("239.255.255.250", NEAR),
        ("ff02::1", NEAR),
        ("8.8.8.8", FAR),
        ("::ffff:8.8.8.8", FAR),
        ("64:ff9b::808:808", FAR),
        ("2002:808:808::1", FAR),
        ("2a00:1450::1", FAR),
        ("tracker.example", FAR),
    ],
)
def test_how_near(host: str, zone: Zone) -> None:
    assert zone_of(host) is zone

"""Numbers of Mobile IPv4. A name is imported from here or it is not a number of the protocol."""

from mip4.compat import const

PORT = const(434)  # RFC 5944 §1.8: requests go to it, replies come from it

# Addresses (RFC 1112, RFC 1256 §3, RFC 5944 §2.3)
ANY = const(0)
BROADCAST = const(0xFFFFFFFF)
ALL_SYSTEMS = const(0xE0000001)
ALL_ROUTERS = const(0xE0000002)
ALL_MOBILITY_AGENTS = const(0xE000000B)

# IP protocols
PROTO_ICMP = const(1)
PROTO_IPIP = const(4)  # RFC 2003
PROTO_UDP = const(17)
PROTO_GRE = const(47)  # RFC 2784
PROTO_MINIMAL = const(55)  # RFC 2004

# Messages on UDP 434
REGISTRATION_REQUEST = const(1)  # RFC 5944 §3.3
REGISTRATION_REPLY = const(3)  # RFC 5944 §3.4
TUNNEL_DATA = const(4)  # RFC 3519 §3.3
REGISTRATION_REVOCATION = const(7)  # RFC 3543 §3.3
REVOCATION_ACKNOWLEDGEMENT = const(15)  # RFC 3543 §3.4

# Registration Request flags (RFC 5944 §3.3, RFC 3024 §3.2)
FLAG_S = const(0x80)  # keep earlier bindings
FLAG_B = const(0x40)  # broadcasts wanted
FLAG_D = const(0x20)  # co-located care-of address: the node decapsulates
FLAG_M = const(0x10)  # minimal encapsulation wanted
FLAG_G = const(0x08)  # GRE wanted
FLAG_r = const(0x04)  # reserved, sent as zero
FLAG_T = const(0x02)  # reverse tunnel wanted
FLAG_x = const(0x01)  # reserved, sent as zero

INFINITE = const(0xFFFF)  # a lifetime that never ends (RFC 5944 §3.3)

# Registration message extensions
PAD = const(0)
MOBILE_HOME_AUTHENTICATION = const(32)  # RFC 5944 §3.5.2
MOBILE_FOREIGN_AUTHENTICATION = const(33)  # RFC 5944 §3.5.3
FOREIGN_HOME_AUTHENTICATION = const(34)  # RFC 5944 §3.5.4
GENERALIZED_AUTHENTICATION = const(36)  # RFC 4721 §5
CRITICAL_VENDOR = const(38)  # RFC 3115 §2.1
UDP_TUNNEL_REPLY = const(44)  # RFC 3519 §3.2
FA_ERROR = const(45)  # RFC 4636 §3
GRE_KEY = const(48)  # RFC 6245 §4
ENCAPSULATING_DELIVERY = const(130)  # RFC 3024 §3.3
MOBILE_NODE_NAI = const(131)  # RFC 2794 §2
MOBILE_FOREIGN_CHALLENGE = const(132)  # RFC 4721 §4
NORMAL_VENDOR = const(134)  # RFC 3115 §2.2
REVOCATION_SUPPORT = const(137)  # RFC 3543 §5.1
DYNAMIC_HOME_AGENT = const(139)  # RFC 4433 §4
UDP_TUNNEL_REQUEST = const(144)  # RFC 3519 §3.1
MESSAGE_STRING = const(145)  # RFC 4917 §3
EXPERIMENTAL_SKIPPABLE = const(255)  # RFC 4064 §3.2
FIRST_SKIPPABLE = const(128)  # RFC 5944 §1.8

MN_AAA = const(1)  # sub-type of 36 (RFC 4721 §6)
CHAP_SPI = const(2)  # the one SPI below 256 that means something (RFC 4721 §8)

MESSAGE_FROM_HOME_AGENT = const(1)  # sub-types of 145
MESSAGE_FROM_FOREIGN_AGENT = const(2)

REQUESTED_HOME_AGENT = const(1)  # sub-types of 139
REDIRECTED_HOME_AGENT = const(2)

CISCO = const(9)  # enterprise number under which RFC 4332 lives
HOST_CONFIGURATION = const(14)  # its vendor type
CONFIG_REQUEST = const(0)  # RFC 4332 sub-types
CONFIG_PREFIX_LENGTH = const(1)
CONFIG_DNS = const(2)
CONFIG_GATEWAY = const(5)

# ICMP (RFC 1256 §3) and the extensions of an Agent Advertisement (RFC 5944 §2.1)
ICMP_ECHO_REPLY = const(0)  # RFC 792
ICMP_REDIRECT = const(5)
ICMP_ECHO_REQUEST = const(8)
ICMP_ADVERTISEMENT = const(9)
ICMP_SOLICITATION = const(10)
MOBILITY_AGENT_ADVERTISEMENT = const(16)
PREFIX_LENGTHS = const(19)
ADVERTISED_CHALLENGE = const(24)  # RFC 4721 §2
EXPERIMENTAL_NON_SKIPPABLE = const(127)  # RFC 4064 §4.2

ADVERT_R = const(0x8000)  # registration required
ADVERT_B = const(0x4000)  # busy
ADVERT_H = const(0x2000)  # home agent
ADVERT_F = const(0x1000)  # foreign agent
ADVERT_M = const(0x0800)
ADVERT_G = const(0x0400)
ADVERT_T = const(0x0100)  # reverse tunnelling
ADVERT_U = const(0x0080)  # UDP tunnelling
ADVERT_X = const(0x0040)  # revocation

# Reply codes (RFC 5944 §3.4 unless another is named)
ACCEPTED = const(0)
ACCEPTED_NO_SIMULTANEOUS = const(1)
FA_UNSPECIFIED = const(64)
FA_PROHIBITED = const(65)
FA_RESOURCES = const(66)
FA_MN_AUTHENTICATION = const(67)
FA_HA_AUTHENTICATION = const(68)
FA_LIFETIME = const(69)
FA_POORLY_FORMED_REQUEST = const(70)
FA_POORLY_FORMED_REPLY = const(71)
FA_ENCAPSULATION = const(72)
FA_REVERSE_TUNNEL = const(74)  # RFC 3024 §3.4
FA_REVERSE_TUNNEL_MANDATORY = const(75)
FA_TOO_DISTANT = const(76)
FA_INVALID_CARE_OF = const(77)
FA_TIMEOUT = const(78)
FA_DELIVERY_STYLE = const(79)
FA_HOME_NETWORK_UNREACHABLE = const(80)
FA_HOME_AGENT_HOST_UNREACHABLE = const(81)
FA_HOME_AGENT_PORT_UNREACHABLE = const(82)
FA_HOME_AGENT_UNREACHABLE = const(88)
FA_NONZERO_HOME_AGENT = const(90)  # RFC 4433
FA_NONZERO_HOME_ADDRESS = const(96)  # RFC 2794
FA_MISSING_NAI = const(97)
FA_MISSING_HOME_AGENT = const(98)
FA_MISSING_HOME_ADDRESS = const(99)
FA_UNKNOWN_CRITICAL = const(100)  # RFC 3115
FA_UNKNOWN_CRITICAL_IN_REPLY = const(101)
FA_UNKNOWN_CHALLENGE = const(104)  # RFC 4721 §3.2
FA_MISSING_CHALLENGE = const(105)
FA_STALE_CHALLENGE = const(106)
FA_AAA_AUTHENTICATION = const(108)
FA_WRONG_CHALLENGE = const(109)  # what the home agent sent back
HA_UNSPECIFIED = const(128)
HA_PROHIBITED = const(129)
HA_RESOURCES = const(130)
HA_MN_AUTHENTICATION = const(131)
HA_FA_AUTHENTICATION = const(132)
HA_IDENTIFICATION = const(133)
HA_POORLY_FORMED = const(134)
HA_TOO_MANY_BINDINGS = const(135)
HA_UNKNOWN_HOME_AGENT = const(136)
HA_REVERSE_TUNNEL = const(137)  # RFC 3024 §3.4
HA_REVERSE_TUNNEL_MANDATORY = const(138)
HA_ENCAPSULATION = const(139)
HA_UNKNOWN_CRITICAL_FROM_MN = const(140)  # RFC 3115
HA_UNKNOWN_CRITICAL_FROM_FA = const(141)
HA_UDP_ENCAPSULATION = const(142)  # RFC 3519
HA_REDIRECTED = const(143)  # RFC 4433
HA_AAA_AUTHENTICATION = const(144)  # RFC 4721 §3.4
FA_INVALID_HOME_AGENT = const(194)  # RFC 5944: an FA says it, whatever its range suggests

# Pairs, and no dict: a tuple that never changes stays in flash where it is frozen, and 84 names are a kilobyte of heap.
CODE_NAMES = (
    (0, "accepted"),
    (1, "accepted, no simultaneous bindings"),
    (2, "concurrent registration"),
    (64, "reason unspecified (FA)"),
    (65, "administratively prohibited (FA)"),
    (66, "insufficient resources (FA)"),
    (67, "mobile node failed authentication (FA)"),
    (68, "home agent failed authentication (FA)"),
    (69, "requested lifetime too long"),
    (70, "poorly formed request (FA)"),
    (71, "poorly formed reply (FA)"),
    (72, "requested encapsulation unavailable (FA)"),
    (73, "reserved, once for header compression"),
    (74, "reverse tunnel unavailable (FA)"),
    (75, "reverse tunnel is mandatory (FA)"),
    (76, "mobile node too distant"),
    (77, "invalid care-of address"),
    (78, "registration timeout"),
    (79, "delivery style not supported"),
    (80, "home network unreachable"),
    (81, "home agent host unreachable"),
    (82, "home agent port unreachable"),
    (88, "home agent unreachable"),
    (89, "vendor-specific reason"),
    (90, "non-zero home agent address required"),
    (96, "non-zero home address required"),
    (97, "missing NAI"),
    (98, "missing home agent"),
    (99, "missing home address"),
    (100, "unknown critical vendor extension from the mobile node"),
    (101, "unknown critical vendor extension from the home agent"),
    (104, "unknown challenge"),
    (105, "missing challenge"),
    (106, "stale challenge"),
    (107, "missing key generation reply for mobile node and foreign agent"),
    (108, "mobile node failed AAA authentication (FA)"),
    (109, "wrong challenge from the home agent"),
    (110, "replay protection style unavailable"),
    (111, "zero care-of address not supported"),
    (112, "unknown gateway foreign agent"),
    (113, "gateway foreign agent unreachable"),
    (114, "gateway foreign agent host unreachable"),
    (115, "gateway foreign agent port unreachable"),
    (127, "experimental error (FA)"),
    (128, "reason unspecified (HA)"),
    (129, "administratively prohibited (HA)"),
    (130, "insufficient resources (HA)"),
    (131, "mobile node failed authentication (HA)"),
    (132, "foreign agent failed authentication"),
    (133, "registration Identification mismatch"),
    (134, "poorly formed request (HA)"),
    (135, "too many simultaneous bindings"),
    (136, "unknown home agent address"),
    (137, "reverse tunnel unavailable (HA)"),
    (138, "reverse tunnel is mandatory (HA)"),
    (139, "requested encapsulation unavailable (HA)"),
    (140, "unknown critical vendor extension from the mobile node (HA)"),
    (141, "unknown critical vendor extension from the foreign agent (HA)"),
    (142, "requested UDP encapsulation unavailable"),
    (143, "redirected to another home agent"),
    (144, "mobile node failed AAA authentication (HA)"),
    (145, "zero care-of address from a gateway foreign agent"),
    (146, "dynamic gateway foreign agent not supported"),
    (147, "mobile network error"),
    (148, "mobile network disallowed"),
    (149, "proxy registration unsupported"),
    (150, "proxy registration disallowed"),
    (151, "service authorization failed"),
    (152, "multipath not allowed"),
    (153, "invalid flow binding identifier"),
    (192, "experimental error (HA)"),
    (193, "no home registration"),
    (194, "invalid home agent address"),
    (201, "expired home nonce index"),
    (202, "expired care-of nonce index"),
    (203, "expired nonces"),
)


def code_name(code: int) -> str:
    """What a Reply code says, for people: "133 registration Identification mismatch"."""
    for known, name in CODE_NAMES:
        if known == code:
            return "%d %s" % (code, name)
    return "%d unknown code" % code


def is_from_home_agent(code: int) -> bool:
    """Whether a home agent sends this Reply code, so that its authenticator must be there (RFC 5944 §3.4)."""
    return code < 64 or 128 <= code <= 192

/* What the daemon tells the programs, and what they count. Python's side of each struct is in sessions.py. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct agent {
	__be32 local;		/* where our tunnels begin and end */
	__be16 port;		/* of those in UDP, in 16 bits of the network's order */
	__u16 unused;
	__u32 device;		/* index of mip0 */
};

/* Of every session of the agent, by its home address. */
struct session {
	__u64 expires;		/* ns since boot; 0: never */
	__be32 remote;		/* the tunnel's other end */
	__be16 port;		/* there, of a tunnel in UDP; else 0 */
	__u8 carried;		/* IPPROTO_IPIP or IPPROTO_UDP; 0: by the slow path */
	__u8 co_located;	/* whether the node itself is there; only Python asks */
	__u32 slot;		/* of its counts */
	__u32 link;		/* index of the visited link it sits on; 0: of none */
	__u8 link_address[6];	/* there */
	__u16 generation;	/* of the last start by which it was known; only Python asks */
};

/* Inner packets and their octets. in: towards the device. heard: ns since boot, when the last one came from there. */
struct counts {
	__u64 packets_in, packets_out, bytes_in, bytes_out, heard;
};

/* Why a packet went nowhere. DROPS in sessions.py has their names. */
enum reason { EXPIRED, OUTER_SOURCE, LINK, LINK_ADDRESS, INNER_TTL, CONGESTION, NO_ROOM, REASONS };

/* Sizes that depend on the agent are set before loading. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct agent);
} mip_agent SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, __be32);
	__type(value, struct session);
} mip_sessions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct counts);
} mip_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, REASONS);
	__type(key, __u32);
	__type(value, __u64);
} mip_drops SEC(".maps");

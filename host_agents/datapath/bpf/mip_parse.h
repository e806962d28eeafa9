/* Taking packets apart: bounds first. */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/pkt_cls.h>
#include <linux/stddef.h>
#include <linux/udp.h>
#include <stddef.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define DONT_FRAGMENT 0x4000
#define PART 0x3fff		/* more fragments, or an offset */
#define ECN 3			/* the congestion bits of a TOS (RFC 3168) */
#define CONGESTION_EXPERIENCED 3
#define LONGEST 65535
#define ICMP_REDIRECT 5
#define PROTO_MINIMAL 55

/* The head of message 4 (RFC 3519 3.3.1): what follows is an IPv4 packet. */
struct tunnel_data {
	__u8 type, next_header;
	__u16 reserved;
};
#define TUNNEL_DATA 4

/* `size` octets from `offset` on, or NULL. Pointers that were got before are void after it. */
static __always_inline void *reach(struct __sk_buff *skb, __u32 offset, __u32 size)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	if (data + offset + size <= end)
		return data + offset;
	if (bpf_skb_pull_data(skb, offset + size))
		return NULL;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	return data + offset + size <= end ? data + offset : NULL;
}

/* A whole IPv4 packet of `room` octets at most? */
static __always_inline int is_packet(const struct iphdr *ip, __u32 room)
{
	__u32 length = bpf_ntohs(ip->tot_len);
	return ip->version == 4 && ip->ihl >= 5 && ip->ihl * 4 <= length && length <= room;
}

/* Octets of the headers that each segment of a packet for segmentation repeats; 0: of a kind that we do not know. */
static __always_inline __u32 repeated(struct __sk_buff *skb, __u32 offset, __u8 header_words, __u8 protocol)
{
	__u32 headers = header_words * 4;
	struct tcphdr tcp;
	if (protocol == IPPROTO_UDP)
		return headers + sizeof(struct udphdr);
	if (protocol != IPPROTO_TCP || bpf_skb_load_bytes(skb, offset + headers, &tcp, sizeof(tcp)))
		return 0;
	return headers + tcp.doff * 4;
}

static __always_inline __u16 folded(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* Of a header without options; 0xffff: its checksum is right. */
static __always_inline __u16 sum_of(const struct iphdr *ip)
{
	const __u16 *half = (const __u16 *)ip;
	__u32 sum = 0;
#pragma unroll
	for (int i = 0; i < 10; i++)
		sum += half[i];
	return folded(sum);
}

/* Two link addresses? (There is no memcmp in the kernel for us.) */
static __always_inline int differ(const __u8 *one, const __u8 *other)
{
	__u8 bits = 0;
#pragma unroll
	for (int i = 0; i < ETH_ALEN; i++)
		bits |= one[i] ^ other[i];
	return bits;
}

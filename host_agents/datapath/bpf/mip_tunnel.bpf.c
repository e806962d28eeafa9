/* Tunnels of a mobility agent inside the kernel: IP-in-IP (RFC 2003) and message 4 in UDP (RFC 3519).
 *
 * A packet goes into its tunnel as it leaves by mip0, and straight on by the interface that the routes name. One that
 * comes out of a tunnel arrives by mip0. So the kernel routes it, counts its TTL down, fragments it and answers with
 * ICMP, and a firewall sees it, before the one and after the other.
 *
 * What is not ours, or not plain, is NOT_OURS: the stack has it, and in the end the slow path, which judges by the same
 * rules. That must not happen to a packet that we have begun to change: from each line marked POINT OF NO RETURN on a
 * failure drops it.
 */
#include "mip_maps.h"
#include "mip_parse.h"

#define AF_INET 2
#define LOOPBACK 1		/* index of lo: the routes are asked as for a packet that begins here */
#define OUTER_TTL 64
#define NOT_OURS TC_ACT_UNSPEC
#define EALREADY 114
#define INSIDE (BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP)

enum side { HOME, VISITED };

struct outer {
	struct ethhdr link;
	struct iphdr ip;
	struct udphdr udp;	/* from here on only of a tunnel in UDP */
	struct tunnel_data message;
} __attribute__((packed));

#define IN_IP sizeof(struct iphdr)
#define IN_UDP (sizeof(struct iphdr) + sizeof(struct udphdr) + sizeof(struct tunnel_data))

static __always_inline int drop(__u32 reason)
{
	__u64 *count = bpf_map_lookup_elem(&mip_drops, &reason);
	if (count)
		*count += 1;
	return TC_ACT_SHOT;
}

static __always_inline struct agent *own(void)
{
	__u32 only = 0;
	return bpf_map_lookup_elem(&mip_agent, &only);
}

static __always_inline int expired(const struct session *session, __u64 now)
{
	return session->expires && session->expires <= now;
}

/* segments: of the inner packet, of which `headers` octets are repeated by each. */
static __always_inline void count(__u32 slot, int inwards, __u32 length, __u32 segments, __u32 headers,
				  __u64 now)
{
	struct counts *counts = bpf_map_lookup_elem(&mip_counts, &slot);
	__u32 packets = segments > 1 ? segments : 1;
	if (!counts)
		return;
	length += (packets - 1) * headers;
	if (inwards) {
		counts->packets_in += packets;
		counts->bytes_in += length;
	} else {
		counts->packets_out += packets;
		counts->bytes_out += length;
		counts->heard = now;
	}
}

/* Packets that the slow path wants to see: those that would go round in circles (RFC 2003 4.4), and redirects, which
 * speak of a link and have no meaning at the other end.
 */
static __always_inline int is_odd(struct __sk_buff *skb, const struct iphdr *inner, const struct session *session,
				  const struct agent *agent)
{
	__u8 protocol = inner->protocol, type;
	if (inner->ttl == 0)
		return 1;
	if (inner->saddr == session->remote && (session->carried == IPPROTO_IPIP || protocol == IPPROTO_UDP))
		return 1;
	if (inner->saddr == agent->local)
		return protocol == IPPROTO_IPIP || protocol == IPPROTO_UDP || protocol == IPPROTO_GRE ||
		       protocol == PROTO_MINIMAL;
	if (protocol != IPPROTO_ICMP || inner->frag_off & bpf_htons(PART))
		return 0;
	return bpf_skb_load_bytes(skb, inner->ihl * 4, &type, 1) || type == ICMP_REDIRECT;
}

/* Put the outer headers on and send. inner: a copy. way: where to, and the link addresses if they are known. headers: as
 * of count().
 */
static __always_inline int wrap(struct __sk_buff *skb, const struct iphdr *inner, const struct agent *agent,
				const struct session *session, const struct bpf_fib_lookup *way, int neighbour_known,
				__u32 headers, __u64 now, enum side side, int in_udp)
{
	__u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4;
	__u32 added = in_udp ? IN_UDP : IN_IP, length = skb->len + added;
	struct outer outer = {.link.h_proto = bpf_htons(ETH_P_IP)};

	__builtin_memcpy(outer.link.h_dest, way->dmac, ETH_ALEN);
	__builtin_memcpy(outer.link.h_source, way->smac, ETH_ALEN);
	struct iphdr ip = {
		.version = 4,
		.ihl = 5,
		.tos = inner->tos,
		.tot_len = bpf_htons(length),
		.frag_off = inner->frag_off & bpf_htons(DONT_FRAGMENT),
		.ttl = OUTER_TTL,
		.protocol = in_udp ? IPPROTO_UDP : IPPROTO_IPIP,
		.saddr = agent->local,
		.daddr = session->remote,
	};
	if (!ip.frag_off)
		ip.id = bpf_get_prandom_u32(); /* a router may cut it in pieces, which are found together by this */
	ip.check = ~sum_of(&ip);
	outer.ip = ip;
	if (in_udp) {
		outer.udp.source = agent->port;
		outer.udp.dest = session->port;
		outer.udp.len = bpf_htons(length - sizeof(struct iphdr));
		outer.message.type = TUNNEL_DATA;
		outer.message.next_header = IPPROTO_IPIP;
		flags |= BPF_F_ADJ_ROOM_ENCAP_L4_UDP;
	}

	__u32 segments = skb->gso_segs;
	long refused = bpf_skb_adjust_room(skb, added, BPF_ADJ_ROOM_MAC, flags);
	/* What has come out of another tunnel is for the kernel still inside it, and nobody may tell it otherwise. One
	 * packet may go on like that. Of one for segmentation the kernel would remember what kind of tunnel it was.
	 */
	if (refused == -EALREADY && !skb->gso_size)
		refused = bpf_skb_adjust_room(skb, added, BPF_ADJ_ROOM_MAC, flags & ~INSIDE);
	if (refused)
		return NOT_OURS;

	/* POINT OF NO RETURN */
	if (bpf_skb_change_head(skb, ETH_HLEN, 0) || bpf_skb_store_bytes(skb, 0, &outer, ETH_HLEN + added, 0))
		return drop(NO_ROOM);
	count(session->slot, side == HOME, length - added, segments, headers, now);
	if (neighbour_known)
		return bpf_redirect(way->ifindex, 0);
	/* The kernel asks the routes once more. With a next hop from us it would not, and a packet that waits for its
	 * neighbour to answer would go by the route that it came to mip0 by.
	 */
	return bpf_redirect_neigh(way->ifindex, NULL, 0, 0);
}

/* On the egress of mip0, where a packet has no link header. */
static __always_inline int enter(struct __sk_buff *skb, enum side side)
{
	struct iphdr *ip = reach(skb, 0, sizeof(*ip)), inner;
	struct agent *agent = own();
	if (!agent || !ip || !is_packet(ip, LONGEST) || bpf_ntohs(ip->tot_len) != skb->len)
		return NOT_OURS;
	inner = *ip;
	struct session *session = bpf_map_lookup_elem(&mip_sessions, side == HOME ? &inner.daddr : &inner.saddr);
	if (!session)
		return NOT_OURS;
	__u64 now = bpf_ktime_get_boot_ns();
	if (expired(session, now))
		return drop(EXPIRED);
	if (!session->carried || is_odd(skb, &inner, session, agent))
		return NOT_OURS;

	int in_udp = session->carried == IPPROTO_UDP;
	__u32 added = in_udp ? IN_UDP : IN_IP, longest = skb->len, headers = 0;
	if (skb->gso_size) {
		headers = repeated(skb, 0, inner.ihl, inner.protocol);
		if (!headers)
			return NOT_OURS;
		longest = headers + skb->gso_size;
	}
	if (skb->len + added > LONGEST)
		return NOT_OURS;

	/* The kernel's routes know what ICMP said of the path, too, and forget it after ten minutes (RFC 1191). */
	struct bpf_fib_lookup way = {
		.family = AF_INET,
		.l4_protocol = session->carried,
		.tot_len = longest + added,
		.ifindex = LOOPBACK,
		.tos = inner.tos & ~ECN,
		.ipv4_src = agent->local,
		.ipv4_dst = session->remote,
	};
	int found = bpf_fib_lookup(skb, &way, sizeof(way), 0);
	if (found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH)
		return NOT_OURS;
	if (way.family != AF_INET || way.ifindex == agent->device)
		return NOT_OURS;

	int neighbour_known = found == BPF_FIB_LKUP_RET_SUCCESS;
	if (in_udp)
		return wrap(skb, &inner, agent, session, &way, neighbour_known, headers, now, side, 1);
	return wrap(skb, &inner, agent, session, &way, neighbour_known, headers, now, side, 0);
}

/* A checksum that a virtual network card has left undone holds the sum of the pseudo header. Such a packet is for the
 * kernel, which knows where that checksum is and would look for it in vain once we have taken the header off.
 */
static __always_inline int is_undone(const struct iphdr *outer, const struct udphdr *udp)
{
	__u32 sum = (outer->saddr & 0xffff) + (outer->saddr >> 16) + (outer->daddr & 0xffff) + (outer->daddr >> 16) +
		    bpf_htons(IPPROTO_UDP) + udp->len;
	return udp->check && udp->check == folded(sum);
}

/* The inner TOS under an outer one (RFC 6040 4.2); -1: the packet has to be dropped. */
static __always_inline int leaving(__u8 inner, __u8 outer)
{
	if ((outer & ECN) == CONGESTION_EXPERIENCED)
		return inner & ECN ? inner | CONGESTION_EXPERIENCED : -1;
	if ((outer & ECN) == 1 && (inner & ECN) == 2)
		return inner ^ ECN;
	return inner;
}

/* Give the packet in a frame another TOS. ip: its header as it is. */
static __always_inline long mark(struct __sk_buff *skb, const struct iphdr *ip, __u8 tos)
{
	__u8 first = ip->version << 4 | ip->ihl;
	__u64 was = bpf_htons(first << 8 | ip->tos), now = bpf_htons(first << 8 | tos);
	return bpf_l3_csum_replace(skb, ETH_HLEN + offsetof(struct iphdr, check), was, now, sizeof(__be16)) ?:
	       bpf_skb_store_bytes(skb, ETH_HLEN + offsetof(struct iphdr, tos), &tos, 1, 0);
}

/* On the ingress of whatever may receive: an Ethernet frame. */
static __always_inline int leave(struct __sk_buff *skb, enum side side)
{
	struct iphdr *ip = reach(skb, ETH_HLEN, 2 * sizeof(*ip)), outer, inner;
	struct agent *agent = own();
	if (!agent || !ip || skb->pkt_type != PACKET_HOST || skb->vlan_present)
		return NOT_OURS;
	outer = *ip;
	if (outer.daddr != agent->local || outer.version != 4 || outer.ihl != 5 || outer.frag_off & bpf_htons(PART) ||
	    outer.ttl == 0 || sum_of(&outer) != 0xffff)
		return NOT_OURS;

	__u32 taken = IN_IP, length = bpf_ntohs(outer.tot_len);
	__u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO;
	__be16 port = 0;
	if (outer.protocol == IPPROTO_IPIP) {
		inner = ip[1];
		flags |= BPF_F_ADJ_ROOM_NO_CSUM_RESET; /* it is about the inner one */
	} else if (outer.protocol == IPPROTO_UDP) {
		struct {
			struct udphdr udp;
			struct tunnel_data message;
			struct iphdr ip;
		} __attribute__((packed)) *in = reach(skb, ETH_HLEN + sizeof(outer), sizeof(*in));
		if (!in || in->udp.dest != agent->port || bpf_ntohs(in->udp.len) != length - sizeof(outer))
			return NOT_OURS;
		struct udphdr udp = in->udp;
		if (in->message.type != TUNNEL_DATA || in->message.next_header != IPPROTO_IPIP ||
		    is_undone(&outer, &udp))
			return NOT_OURS;
		port = in->udp.source;
		inner = in->ip;
		taken = IN_UDP;
	} else {
		return NOT_OURS;
	}
	if (length > skb->len - ETH_HLEN || length < taken + sizeof(inner) || !is_packet(&inner, length - taken))
		return NOT_OURS;

	struct session *session = bpf_map_lookup_elem(&mip_sessions, side == HOME ? &inner.saddr : &inner.daddr);
	if (!session || session->carried != outer.protocol || inner.daddr == 0xffffffff)
		return NOT_OURS;
	__u64 now = bpf_ktime_get_boot_ns();
	if (expired(session, now))
		return drop(EXPIRED);
	if (session->remote != outer.saddr || session->port != port)
		/* In UDP it may be a keepalive after a NAT has forgotten us (RFC 3519 4.9), at a foreign agent what a
		 * visitor hands in (RFC 3024 5.2): the slow path believes as little, but knows.
		 */
		return port || side == VISITED ? NOT_OURS : drop(OUTER_SOURCE);
	if (inner.ttl == 0)
		return drop(INNER_TTL);
	int tos = leaving(inner.tos, outer.tos);
	if (tos < 0)
		return drop(CONGESTION);
	__u32 headers = skb->gso_size ? repeated(skb, ETH_HLEN + taken, inner.ihl, inner.protocol) : 0;
	count(session->slot, side == VISITED, bpf_ntohs(inner.tot_len), skb->gso_segs, headers, now);

	/* POINT OF NO RETURN */
	if (bpf_skb_adjust_room(skb, -(__s32)taken, BPF_ADJ_ROOM_MAC, flags))
		return drop(NO_ROOM);
	if (tos != inner.tos && mark(skb, &inner, tos))
		return drop(NO_ROOM);
	return bpf_redirect(agent->device, BPF_F_INGRESS);
}

/* On the ingress of a visited link: whoever has a visitor's address is the visitor. */
static __always_inline int admit(struct __sk_buff *skb)
{
	struct ethhdr *frame = reach(skb, 0, sizeof(*frame) + sizeof(struct iphdr));
	if (!frame || skb->vlan_present)
		return NOT_OURS;
	struct iphdr *ip = (void *)(frame + 1);
	__be32 source = ip->saddr;
	struct session *session = bpf_map_lookup_elem(&mip_sessions, &source);
	if (!session || !session->link)
		return NOT_OURS;
	if (expired(session, bpf_ktime_get_boot_ns()))
		return drop(EXPIRED);
	if (session->link != skb->ifindex)
		return drop(LINK);
	if (differ(session->link_address, frame->h_source))
		return drop(LINK_ADDRESS);
	return NOT_OURS;
}

SEC("tc") int home_enter(struct __sk_buff *skb) { return enter(skb, HOME); }
SEC("tc") int home_leave(struct __sk_buff *skb) { return leave(skb, HOME); }
SEC("tc") int visited_enter(struct __sk_buff *skb) { return enter(skb, VISITED); }
SEC("tc") int visited_leave(struct __sk_buff *skb) { return leave(skb, VISITED); }
SEC("tc") int visited_admit(struct __sk_buff *skb) { return admit(skb); }

char _license[] SEC("license") = "Dual MIT/GPL";

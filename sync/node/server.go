package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ssbsync/ssbsync/spec/multiserver"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/sync/gossip"
)

// DefaultPort is where peers listen unless the config says otherwise,
// defaultWebPort where they do for web sockets.
const (
	DefaultPort    = 8008
	defaultWebPort = 8989
)

// loopback is where listeners are that only this machine is to reach.
const loopback = "127.0.0.1"

// ServerOptions override what the config says.
type ServerOptions struct {
	Host string // where to listen on TCP; "" = as the config says
	Port int    // 0 = any free one; negative = as the config says

	NoLAN bool // neither look for peers on the LAN nor be found there

	// Offline keeps the node off every network: only the own user's programs
	// connect, and media are visited.
	Offline bool
	Media   MediaOptions

	// Ready, when set, is called once others can connect, with the addresses.
	Ready func(addresses []string)
}

// server is a running node's way to the outside.
type server struct {
	node    *Node
	began   time.Time
	offline bool

	listening []endpoint   // does not change once others see the server
	http      net.Listener // for browsers, or nil
}

// endpoint is one listener.
type endpoint struct {
	net.Listener
	transport string // net, ws or unix
	config    Incoming
}

// ServerStatus says how others reach a running node.
type ServerStatus struct {
	PID       int      `json:"pid"`
	User      string   `json:"user"`
	Since     int64    `json:"since"` // milliseconds since 1970
	Addresses []string `json:"addresses"`
	HTTP      string   `json:"http,omitempty"` // where browsers find blobs
	Connected int      `json:"connected"`      // peers
}

// Run lets others connect until ctx ends: peers over TCP, and the own user's
// programs over the unix socket in the home folder, and it dials peers. It
// returns when all connections have ended, with nil when ctx was the reason.
func (n *Node) Run(ctx context.Context, o ServerOptions) error {
	if err := n.checkHome(); err != nil {
		return err
	}
	var g *gossip.Gossip // stays nil when offline
	if !o.Offline {
		var err error
		if g, err = n.network(); err != nil {
			return err
		}
	}
	s := &server{node: n, began: n.options.Now(), offline: o.Offline}
	if err := s.listen(ctx, o); err != nil {
		s.close()
		return err
	}
	n.server.Store(s)
	defer n.server.Store(nil)
	return s.run(ctx, g, o)
}

// run serves until ctx ends or a part fails; then the others end too.
func (s *server) run(ctx context.Context, g *gossip.Gossip, o ServerOptions) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var group sync.WaitGroup
	start := func(what string, part func(context.Context) error) {
		group.Go(func() {
			err := part(ctx)
			if err != nil && ctx.Err() == nil {
				stop(fmt.Errorf("%s: %w", what, err))
			}
		})
	}
	if !s.offline {
		start("gossip", g.Run)
		start("following the policy", s.node.followPolicy)
		start("following private groups", s.node.followMembers)
		start("watching the network", func(ctx context.Context) error { return watchAddresses(ctx, g.NetworkChanged) })
	}
	start("following the indexes", s.node.followIndexes)
	start("following the index of apps", s.node.followViews)
	start("looking after blobs", s.node.blobs.run)
	start("serving browsers", s.serveHTTP)
	visiting := make(chan struct{}) // closed when events of media can be followed
	start("visiting media", func(ctx context.Context) error { return s.node.visitMedia(ctx, o, visiting) })
	start("storing", s.node.untilStopped)
	for _, e := range s.listening {
		start("listening on "+e.Addr().String(), func(ctx context.Context) error { return s.serve(ctx, g, e) })
	}
	if local := s.node.config.Local; !s.offline && !o.NoLAN && (local == nil || *local) {
		start("looking around on the LAN", func(ctx context.Context) error { return s.lookAround(ctx, g) })
	}
	<-visiting
	if o.Ready != nil {
		o.Ready(s.node.addressTexts())
	}
	<-ctx.Done()
	s.close()
	group.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// untilStopped returns when the one way in has failed, or ctx ends.
func (n *Node) untilStopped(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-n.stopped:
		return n.failed
	}
}

func (s *server) serve(ctx context.Context, g *gossip.Gossip, e endpoint) error {
	switch e.transport {
	case "ws":
		return g.ServeWebSocket(ctx, e.Listener)
	case "unix":
		return s.serveSocket(ctx, e.Listener)
	}
	return g.Serve(ctx, e.Listener)
}

// listen opens the listeners that the config and the options ask for.
func (s *server) listen(ctx context.Context, o ServerOptions) error {
	if err := CheckSocket(ctx, s.node.options.Home); err != nil {
		return err
	}
	list := s.node.incoming(o)
	if err := s.listenHTTP(ctx, list); err != nil {
		return err
	}
	for _, wanted := range list {
		var l net.Listener
		var err error
		if wanted.transport == "unix" { // the last one: who sees it finds the manifest
			if err := s.node.writeManifest(); err != nil {
				return err
			}
			l, err = s.node.listenSocket()
		} else {
			l, err = s.listenTCP(ctx, wanted)
		}
		if err != nil {
			return fmt.Errorf("listening: %w", err)
		}
		wanted.Listener = l
		s.listening = append(s.listening, wanted)
	}
	return nil
}

// listenTCP opens one listener and logs who can reach it: its addresses alone do
// not tell.
func (s *server) listenTCP(ctx context.Context, e endpoint) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", net.JoinHostPort(e.config.Host, strconv.Itoa(e.port())))
	if err == nil {
		s.node.options.Log.Info("bound", "transport", e.transport, "on", l.Addr().String(), "scope", strings.Join(e.config.Scope, " "))
	}
	return l, err
}

// port returns where to listen, 0 for any free port.
func (e endpoint) port() int {
	if e.transport == "ws" {
		return e.config.Port.or(defaultWebPort)
	}
	return e.config.Port.or(DefaultPort)
}

func (s *server) close() {
	if s.http != nil {
		s.http.Close()
	}
	for _, e := range s.listening {
		e.Close() // may be closed already
	}
}

// incoming lists where to listen: what connections.incoming says, or TCP and
// the unix socket.
func (n *Node) incoming(o ServerOptions) (list []endpoint) {
	if o.Offline {
		return []endpoint{{transport: "unix", config: Incoming{Scope: Scopes{"device"}}}}
	}
	configured := n.config.Connections.Incoming
	for _, transport := range []string{"net", "ws"} {
		for _, in := range configured[transport] {
			if in.Transform != "" && in.Transform != "shs" {
				n.options.Log.Warn("not listening without a handshake", "transport", transport, "transform", in.Transform)
				continue
			}
			list = append(list, endpoint{transport: transport, config: n.complete(transport, in)})
		}
	}
	if configured == nil {
		list = append(list, endpoint{transport: "net", config: n.complete("net", Incoming{})})
	}
	// The socket is how the other commands reach this one: always.
	return append(joinListeners(o.place(list)), endpoint{transport: "unix", config: Incoming{Scope: Scopes{"device"}}})
}

// place leaves one listener on plain TCP where the options say, if they do: the
// first that others than this machine may reach, if there is one.
func (o ServerOptions) place(list []endpoint) []endpoint {
	if o.Host == "" && o.Port < 0 {
		return list
	}
	isNet := func(e endpoint) bool { return e.transport == "net" }
	i := slices.IndexFunc(list, func(e endpoint) bool { return isNet(e) && !e.forDevice() })
	if i < 0 {
		i = slices.IndexFunc(list, isNet)
	}
	if i < 0 {
		return list
	}
	one := list[i]
	if o.Host != "" {
		one.config.Host = anyHost(o.Host)
	}
	if o.Port >= 0 {
		port := wholeNumber(o.Port)
		one.config.Port = &port
	}
	return append([]endpoint{one}, slices.DeleteFunc(list, isNet)...)
}

// allScopes are from where a listener is reached: this machine, its networks, or
// anywhere.
var allScopes = Scopes{"device", "local", "public"}

// complete fills in what the config leaves open of a listener. One for this
// machine alone never leaves it unless it names another host, as in multiserver,
// and whatever the host at the top is. Others listen on all addresses: those that
// are public, or of the local network, come and go on a laptop.
func (n *Node) complete(transport string, in Incoming) Incoming {
	if len(in.Scope) == 0 {
		in.Scope = allScopes
	}
	for _, word := range in.Scope {
		if !contains(allScopes, word) {
			n.options.Log.Warn("a listener has a scope that is none", "transport", transport, "scope", word)
		}
	}
	if in.Port == nil && transport == "net" {
		in.Port = n.config.Port
	}
	switch {
	case in.Host != "":
	case endpoint{config: in}.forDevice():
		in.Host = loopback
	default:
		in.Host = n.config.Host
	}
	in.Host = anyHost(in.Host)
	return in
}

// anyHost returns a host in the form in which "" stands for all addresses of
// both families.
func anyHost(host string) string {
	if host == "::" || host == "0.0.0.0" {
		return ""
	}
	return host
}

// joinListeners makes one of listeners whose addresses overlap, where the second
// would fail: one on all addresses takes in those on its port. The README of
// ssb-config has such a pair: public, and private with a host.
func joinListeners(list []endpoint) (joined []endpoint) {
	for _, e := range list {
		if slices.ContainsFunc(list, func(other endpoint) bool { return other.config.Host == "" && e.sharesPort(other) }) {
			e.config.Host = ""
		}
		i := slices.IndexFunc(joined, func(other endpoint) bool { return other.config.Host == e.config.Host && e.sharesPort(other) })
		if i < 0 {
			joined = append(joined, e)
			continue
		}
		one := &joined[i].config
		one.Scope, one.External = slices.Concat(one.Scope, e.config.Scope), slices.Concat(one.External, e.config.External)
	}
	return joined
}

// sharesPort reports whether two listeners are of one kind and on one port.
func (e endpoint) sharesPort(other endpoint) bool {
	return e.transport == other.transport && e.port() != 0 && e.port() == other.port()
}

// forDevice reports whether a listener is for this machine alone.
func (e endpoint) forDevice() bool {
	return !contains(e.config.Scope, "local") && !contains(e.config.Scope, "public")
}

// status tells of the running server, nil without one.
func (n *Node) serverInfo() *ServerStatus {
	s := n.server.Load()
	if s == nil {
		return nil
	}
	info := &ServerStatus{PID: os.Getpid(), Since: s.began.UnixMilli(), Addresses: n.addressTexts(), HTTP: s.httpAddress()}
	if u, err := user.Current(); err == nil {
		info.User = u.Username
	}
	if g := n.opened.Load(); g != nil {
		info.Connected = len(g.Peers())
	}
	return info
}

// address answers the addresses by which others reach this node:
// address(scope), where the scope is device, local or public.
func (n *Node) address(_ context.Context, c *muxrpc.Call) (any, error) {
	var scope string
	if raw := argument(c, 0); !falsy(raw) {
		if err := c.DecodeArgs(&scope); err != nil {
			return nil, usage("%v", err)
		}
	}
	s := n.server.Load()
	if s == nil {
		return jsonNull, nil
	}
	switch scope {
	case "":
		scope = "device"
	case "private":
		scope = "local"
	}
	all := s.addresses(scope)
	if len(all) == 0 {
		return jsonNull, nil
	}
	return all.String(), nil
}

// addressTexts lists the addresses of all listeners within this machine, from
// where the user sees those too that are meant for others only.
func (n *Node) addressTexts() []string {
	texts := []string{}
	if s := n.server.Load(); s != nil {
		for _, e := range s.listening {
			for _, addr := range s.addressesOf(e, "device") {
				texts = append(texts, addr.String())
			}
		}
	}
	return texts
}

// addresses lists how those within a scope reach the listeners that are meant
// for them.
func (s *server) addresses(scope string) (all multiserver.Addresses) {
	for _, e := range s.listening {
		if contains(e.config.Scope, scope) {
			all = append(all, s.addressesOf(e, scope)...)
		}
	}
	return all
}

// addressesOf lists how those within a scope reach a listener.
func (s *server) addressesOf(e endpoint, scope string) (all multiserver.Addresses) {
	self := s.node.keys.Feed()
	if e.transport == "unix" {
		return multiserver.Addresses{multiserver.Unix(s.node.socketPath(), self)}
	}
	tcp, ok := e.Addr().(*net.TCPAddr)
	if !ok {
		return nil
	}
	for _, host := range s.hosts(e, tcp, scope) {
		if e.transport == "ws" {
			all = append(all, multiserver.Web("ws", host, uint16(tcp.Port), self))
		} else {
			all = append(all, multiserver.Net(host, uint16(tcp.Port), self))
		}
	}
	return all
}

// hosts lists the hosts by which those within a scope reach a listener.
func (s *server) hosts(e endpoint, tcp *net.TCPAddr, scope string) []string {
	external := e.config.External.given()
	if len(external) == 0 {
		external = s.node.config.External.given()
	}
	switch {
	case scope == "public" && len(external) > 0:
		return external
	case !tcp.IP.IsUnspecified():
		return []string{tcp.IP.String()}
	case scope == "device":
		return []string{"localhost"}
	}
	var hosts []string
	addrs, _ := net.InterfaceAddrs() // none is possible
	for _, addr := range addrs {
		prefix, err := netip.ParsePrefix(addr.String())
		if err != nil {
			continue
		}
		ip := prefix.Addr().Unmap()
		if !ip.IsLoopback() && !ip.IsLinkLocalUnicast() && ip.IsPrivate() == (scope != "public") {
			hosts = append(hosts, ip.String())
		}
	}
	return hosts
}

// netPort returns the port of the first TCP listener.
func (s *server) netPort() (uint16, bool) {
	for _, e := range s.listening {
		if tcp, ok := e.Addr().(*net.TCPAddr); ok && e.transport == "net" {
			return uint16(tcp.Port), true
		}
	}
	return 0, false
}

// isPrivateHost reports whether a host is reached from this machine or network
// only.
func isPrivateHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host == "localhost" || host == ""
	}
	return ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast()
}

func contains(scopes Scopes, scope string) bool {
	for _, s := range scopes {
		if s == scope {
			return true
		}
	}
	return false
}

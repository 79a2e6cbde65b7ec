package node

// Bound lists the transports and addresses that a running server listens on.
func (n *Node) Bound() (list []string) {
	for _, e := range n.server.Load().listening {
		if e.transport != "unix" {
			list = append(list, e.transport+" "+e.Addr().String())
		}
	}
	return list
}

// WantedPorts lists the ports to listen on by the config, by transport.
func (n *Node) WantedPorts() map[string]int {
	ports := map[string]int{}
	for _, e := range n.incoming(ServerOptions{Port: -1}) {
		if e.transport != "unix" {
			ports[e.transport] = e.port()
		}
	}
	return ports
}

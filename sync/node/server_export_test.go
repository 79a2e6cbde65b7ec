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

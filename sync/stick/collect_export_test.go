package stick

// SetFault makes steps that change the medium fail: "remove" before a bundle
// is removed, with its name, "bundle" and "have" before one of those is written,
// and "counter" before our store counts a have.
func (p *Peer) SetFault(fault func(step, name string) error) { p.fault = fault }

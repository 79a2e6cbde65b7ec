package history

// Live returns how many live streams a server has.
func (s *Server) Live() int {
	s.growth.mu.Lock()
	defer s.growth.mu.Unlock()
	return s.growth.count
}

package ordering

// Left are the IDs of the orders that this process, and nobody else, knows to be open.
func (s *Service) Left() []string {
	var ids []string
	for _, one := range s.left.all() {
		ids = append(ids, one.r.ID)
	}
	return ids
}

// Family is what the IDs of one Idempotency-Key have in common.
func Family(id string) string { return family(id) }

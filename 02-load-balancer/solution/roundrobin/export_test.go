package roundrobin

// NewWith counts with turn.
func NewWith(turn counter) *RoundRobin { return &RoundRobin{turn: turn} }

package schemas

// Satisfied reports whether approvals are met by votes, where eligible says
// whether vote v counts for requirement a.
func Satisfied(approvals []Approval, votes int, eligible func(a Approval, vote int) bool) bool {
	return Filled(approvals, votes, eligible) == Places(approvals)
}

// Places returns how many votes approvals need: the sum of their quorums.
func Places(approvals []Approval) int {
	n := 0
	for _, a := range approvals {
		n += max(1, a.Quorum)
	}
	return n
}

// Filled returns how many of the places that approvals have can be filled with
// votes at once. One vote counts for one requirement, so this is a matching of
// votes to places; it is found by augmenting paths (Kuhn), and does not depend on
// the order of votes.
func Filled(approvals []Approval, votes int, eligible func(a Approval, vote int) bool) int {
	m := matching{eligible: eligible, taken: make([]int, votes)}
	for i := range m.taken {
		m.taken[i] = -1
	}
	for _, a := range approvals {
		for range max(1, a.Quorum) {
			m.places = append(m.places, a)
		}
	}
	filled := 0
	for p := range m.places {
		if m.seat(p, make([]bool, votes)) {
			filled++
		}
	}
	return filled
}

type matching struct {
	places   []Approval
	eligible func(a Approval, vote int) bool
	taken    []int // by vote: its place, or -1
}

// seat finds a vote for place p, moving others to different places if it must.
func (m *matching) seat(p int, tried []bool) bool {
	for v, at := range m.taken {
		if tried[v] || !m.eligible(m.places[p], v) {
			continue
		}
		tried[v] = true
		if at < 0 || m.seat(at, tried) {
			m.taken[v] = p
			return true
		}
	}
	return false
}

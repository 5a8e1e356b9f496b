package rules

import "fmt"

// suggest returns " (did you mean 'x'?)" if one of the candidates is close to
// the word, else nothing. Among equals the first wins; among very many, none.
func suggest(word string, candidates []string) string {
	if len(candidates) > maxCandidates {
		return ""
	}
	best, distance := "", 1+min(3, (len(word)+1)/3)
	for _, c := range candidates {
		if len(word) > 100 || len(c) > 100 {
			continue
		}
		if d := edits(word, c); d < distance {
			best, distance = c, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean '%s'?)", best)
}

// maxCandidates is among how many something is looked for.
const maxCandidates = 5000

// edits counts the insertions, deletions, substitutions and swaps of neighbours
// that make b out of a.
func edits(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

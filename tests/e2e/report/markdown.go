package report

import (
	"fmt"
	"os"
	"strings"
)

// Markers around the generated part of a document.
const (
	begin = "<!-- e2e -->"
	end   = "<!-- /e2e -->"
)

// Markdown is the table of scenario, version, result and token calls, and the quoted lines below it.
func Markdown(results []*Result) string {
	var b strings.Builder
	b.WriteString("| scenario | kube-apiserver | result | token calls (wrap / unwrap) | seconds |\n|---|---|---|---|---|\n")
	for _, r := range results {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %.0f |\n", r.name(), r.Version, r.outcome(), r.calls(), r.Seconds)
	}
	b.WriteString("\nToken calls include the proof of the serving KEK every 20 s and the proofs at a start.\n")
	for _, r := range results {
		if len(r.Log) > 0 && r.newest(results) {
			fmt.Fprintf(&b, "\n%s, in the log of kube-apiserver %s:\n\n```\n%s\n```\n", r.name(), r.Version, strings.Join(clip(r.Log), "\n"))
		}
	}
	return b.String()
}

func (r *Result) name() string {
	name := r.Title
	if r.Scenario != "upgrade" {
		name = r.Scenario + ". " + name
	}
	if r.Case != "" {
		name += ": " + r.Case
	}
	return name
}

func (r *Result) outcome() string {
	if r.Passed {
		return "pass"
	}
	return "**FAIL**"
}

func (r *Result) calls() string {
	if r.Calls == nil {
		return "-"
	}
	return fmt.Sprintf("%d / %d", r.Calls.Wraps, r.Calls.Unwraps)
}

// newest says whether no later version quotes the same scenario.
func (r *Result) newest(results []*Result) bool {
	for _, other := range results {
		if other.Scenario == r.Scenario && other.Case == r.Case && len(other.Log) > 0 {
			return other == r
		}
	}
	return false
}

// clip shortens lines for reading; the JSON files have them whole.
func clip(lines []string) []string {
	const most = 260
	var short []string
	for _, line := range lines {
		if len(line) > most {
			line = line[:most] + "…"
		}
		short = append(short, line)
	}
	return short
}

// Insert puts the text between the markers of a document.
func Insert(path, text string) error {
	document, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("insert: %w", err)
	}
	before, rest, found := strings.Cut(string(document), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return fmt.Errorf("%s has no markers %s and %s", path, begin, end)
	}
	return os.WriteFile(path, []byte(before+begin+"\n"+text+end+after), 0o644)
}

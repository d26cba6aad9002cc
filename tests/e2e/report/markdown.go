package report

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// Markers around the generated part of a document.
const (
	begin = "<!-- e2e -->"
	end   = "<!-- /e2e -->"
)

// Markdown is the table of scenario, version, result and token calls, and the quoted lines below it.
func Markdown(results []*Result) string {
	versions := columns(results)
	var b strings.Builder
	fmt.Fprintf(&b, "| scenario | kube-apiserver %s |\n|---|%s\n", strings.Join(versions, " | "), strings.Repeat("---|", len(versions)))
	for _, row := range rows(results) {
		fmt.Fprintf(&b, "| %s |", row[0].name())
		for _, version := range versions {
			fmt.Fprintf(&b, " %s |", cell(row, version))
		}
		b.WriteString("\n")
	}
	b.WriteString("\nBeside each result: wraps / unwraps that the token was asked for, with those that prove the serving KEK\n" +
		"every 20 s and at each start.\n\n<details><summary>What the API server's log says</summary>\n")
	for _, row := range rows(results) {
		for _, r := range row {
			if len(r.Log) > 0 {
				fmt.Fprintf(&b, "\n%s (%s):\n\n```\n%s\n```\n", r.name(), r.Version, strings.Join(clip(r.Log), "\n"))
				break
			}
		}
	}
	b.WriteString("\n</details>\n")
	return b.String()
}

// rows are the results of one scenario and case each, in the order of the results.
func rows(results []*Result) [][]*Result {
	var all [][]*Result
	where := map[string]int{}
	for _, r := range results {
		i, known := where[r.name()]
		if !known {
			i = len(all)
			where[r.name()] = i
			all = append(all, nil)
		}
		all[i] = append(all[i], r)
	}
	return all
}

func columns(results []*Result) []string {
	var versions []string
	for _, r := range results {
		if !slices.Contains(versions, r.Version) {
			versions = append(versions, r.Version)
		}
	}
	return versions
}

func cell(row []*Result, version string) string {
	for _, r := range row {
		if r.Version == version {
			return r.outcome()
		}
	}
	return ""
}

func (r *Result) name() string {
	name := r.Title
	if r.Case != "" {
		name += ": " + r.Case
	}
	if r.Scenario != "upgrade" {
		name = r.Scenario + ". " + name
	}
	return name
}

func (r *Result) outcome() string {
	outcome := "pass"
	if !r.Passed {
		outcome = "**FAIL**"
	}
	if r.Calls != nil {
		outcome += fmt.Sprintf(", %d / %d", r.Calls.Wraps, r.Calls.Unwraps)
	}
	return outcome
}

// clip shortens lines for reading; the JSON files have them whole.
func clip(lines []string) []string {
	const most = 420
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

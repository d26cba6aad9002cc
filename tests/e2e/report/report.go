// Package report keeps what each scenario has shown: one JSON file per scenario and Kubernetes version.
package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"time"

	"p11-kms/tests/e2e/plugin"
)

// Result of one scenario with one version.
type Result struct {
	Scenario string        `json:"scenario"` // "1", "upgrade"
	Title    string        `json:"title"`
	Case     string        `json:"case,omitempty"`
	Version  string        `json:"version"`
	Passed   bool          `json:"passed"`
	Seconds  float64       `json:"seconds"`
	Calls    *plugin.Calls `json:"token_calls,omitempty"`
	Facts    []string      `json:"facts"`
	Log      []string      `json:"log"` // lines of the API server
	start    time.Time
}

// New starts the clock of a result.
func New(scenario, title, version string) *Result {
	return &Result{Scenario: scenario, Title: title, Version: version, Facts: []string{}, Log: []string{}, start: time.Now()}
}

// Fact keeps one sentence about what was seen.
func (r *Result) Fact(format string, arguments ...any) {
	r.Facts = append(r.Facts, fmt.Sprintf(format, arguments...))
}

// Quote keeps the last n lines of a log that match.
func (r *Result) Quote(log, pattern string, n int) {
	match := regexp.MustCompile(pattern)
	var found []string
	for _, line := range strings.Split(log, "\n") {
		if match.MatchString(line) {
			found = append(found, line)
		}
	}
	r.Log = append(r.Log, found[max(0, len(found)-n):]...)
}

// Write stores the result in a folder.
func (r *Result) Write(folder string, passed bool) error {
	r.Passed, r.Seconds = passed, time.Since(r.start).Round(100*time.Millisecond).Seconds()
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	name := strings.Join([]string{"scenario", r.Scenario, r.Version, r.Case}, "-")
	name = regexp.MustCompile(`[^0-9A-Za-z.-]+`).ReplaceAllString(strings.TrimRight(name, "-"), "_") + ".json"
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return os.WriteFile(filepath.Join(folder, name), append(text, '\n'), 0o644)
}

// ReadAll reads the results of a folder, newest Kubernetes version first within a scenario.
func ReadAll(folder string) ([]*Result, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("reports: %w", err)
	}
	var results []*Result
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
		r := &Result{}
		if err := json.Unmarshal(text, r); err != nil {
			return nil, fmt.Errorf("report %s: %w", path, err)
		}
		results = append(results, r)
	}
	sort.SliceStable(results, func(a, b int) bool {
		if results[a].Scenario != results[b].Scenario {
			return results[a].Scenario < results[b].Scenario
		}
		if results[a].Version != results[b].Version {
			return results[a].Version > results[b].Version
		}
		return results[a].Case < results[b].Case
	})
	return results, nil
}

package main

import (
	"encoding/xml"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/holdpoint/holdpoint/rules"
)

// The form of results that build servers read.
type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	File    string        `xml:"file,attr"`
	Line    int           `xml:"line,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitFailure `xml:"failure,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// junitOf returns the results as one suite for each file of cases.
func junitOf(bundle string, r rules.Results) junitSuites {
	var all junitSuites
	var took time.Duration
	for i, c := range r.Cases {
		if i == 0 || c.File != r.Cases[i-1].File {
			took = 0
			all.Suites = append(all.Suites, junitSuite{Name: bundle + "/" + c.File})
		}
		s := &all.Suites[len(all.Suites)-1]
		one := junitCase{Name: c.Name, Class: string(c.Facts.Intent.Action), File: c.File, Line: c.Line, Time: seconds(c.Took)}
		if len(c.Problems) > 0 {
			one.Failure = &junitFailure{Message: c.Problems[0], Text: strings.Join(c.Problems, "\n")}
			s.Failures++
		}
		took += c.Took
		s.Tests, s.Time, s.Cases = s.Tests+1, seconds(took), append(s.Cases, one)
	}
	return all
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.6f", d.Seconds()) }

func writeJUnitFile(path, bundle string, r rules.Results) error {
	text, err := xml.MarshalIndent(junitOf(bundle, r), "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.WriteFile(path, append([]byte(xml.Header), append(text, '\n')...), 0o644); err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	return nil
}

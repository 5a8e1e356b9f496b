package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const envPrefix = "HOLDPOINT_"

// onlyFlag marks a flag that no setting sets, because a flag of another command has
// its name and means something else.
const onlyFlag = "holdpoint_only_flag"

// configure gives every flag of cmd that was not set on the command line its
// value from the environment, or else from the configuration file. A key is the
// name of a flag; in the environment, upper-case with underscores and a prefix. A
// key that is no flag of any command is a mistake.
func configure(cmd *cobra.Command) error {
	known := flagsOf(cmd.Root())
	settings := koanf.New("\x00")
	if err := readConfigFile(cmd, settings, known); err != nil {
		return err
	}
	if err := readEnvironment(settings, known); err != nil {
		return err
	}
	for _, key := range settings.Keys() {
		f := cmd.Flags().Lookup(key)
		if f == nil || f.Changed || f.Annotations[onlyFlag] != nil {
			continue
		}
		if err := setFlag(cmd.Flags(), f, settings.Get(key)); err != nil {
			return usage("configuration: %s: %v", key, err)
		}
	}
	return errors.Join(oneOf(cmd, "output", "table", "json", "yaml"), oneOf(cmd, "log-level", "debug", "info", "warn", "error"), oneOf(cmd, "log-format", "json", "console", "auto"))
}

// oneOf makes sure that a flag has one of the values that it may have.
func oneOf(cmd *cobra.Command, name string, choices ...string) error {
	f := cmd.Flag(name)
	if f == nil || slices.Contains(choices, f.Value.String()) {
		return nil
	}
	last := len(choices) - 1
	return usage("--%s %s: want %s or %s", name, f.Value, strings.Join(choices[:last], ", "), choices[last])
}

func readConfigFile(cmd *cobra.Command, settings *koanf.Koanf, known []string) error {
	path, err := cmd.Flags().GetString("config")
	if err != nil {
		return err
	}
	if path == "" {
		path = os.Getenv(envPrefix + "CONFIG")
	}
	if path == "" {
		return nil
	}
	err = settings.Load(file.Provider(path), yaml.Parser())
	if errors.Is(err, fs.ErrNotExist) {
		return usage("configuration file %s: no such file", path)
	}
	if err != nil {
		return usage("configuration file %s: %v", path, err)
	}
	for _, key := range settings.Keys() {
		if !slices.Contains(known, key) {
			return usage("configuration file %s: %s: no such setting%s", path, key, didYouMean(key, known))
		}
	}
	return nil
}

func readEnvironment(settings *koanf.Koanf, known []string) error {
	var mistake error
	err := settings.Load(env.Provider("\x00", env.Opt{
		Prefix: envPrefix,
		TransformFunc: func(name, value string) (string, any) {
			key := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, envPrefix), "_", "-"))
			if !slices.Contains(known, key) && !strings.HasPrefix(name, envPrefix+"TEST_") {
				mistake = usage("environment: %s: no such setting%s", name, didYouMean(key, known))
			}
			return key, value
		},
	}), nil)
	return errors.Join(mistake, err)
}

// setFlag sets a flag to a value of the configuration. A list sets a flag that
// takes several values.
func setFlag(flags *pflag.FlagSet, f *pflag.Flag, value any) error {
	list, ok := value.([]any)
	if !ok {
		return flags.Set(f.Name, fmt.Sprint(value))
	}
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = fmt.Sprint(v)
	}
	return flags.Set(f.Name, strings.Join(texts, ","))
}

// flagsOf returns the names of all flags of cmd and the commands below it.
func flagsOf(cmd *cobra.Command) []string {
	var names []string
	collect := func(f *pflag.Flag) { names = append(names, f.Name) }
	cmd.PersistentFlags().VisitAll(collect)
	cmd.Flags().VisitAll(collect)
	for _, c := range cmd.Commands() {
		names = append(names, flagsOf(c)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// didYouMean suggests the known word that is nearest to a wrong one.
func didYouMean(word string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		if d := distance(word, k); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

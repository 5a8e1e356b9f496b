package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdpoint/holdpoint/client"
	"github.com/holdpoint/holdpoint/schemas"
)

// completeWithin is how long a shell waits for words that the gate knows.
const completeWithin = time.Second

// completer returns what completes the only argument of a command with what the
// gate says, if it answers in time. The key and the server are those of the
// command line so far, the environment and the configuration file.
func completer(roles []schemas.Role, words func(context.Context, *client.Conn) []string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 || configure(cmd) != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		conn, _, err := dial(cmd, roles...)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer conn.Close()
		ctx, cancel := context.WithTimeout(context.Background(), completeWithin)
		defer cancel()
		var found []cobra.Completion
		for _, word := range words(ctx, conn) {
			if strings.HasPrefix(word, prefix) {
				found = append(found, word)
			}
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeActions completes the name of an action.
func completeActions(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	roles := append(adminRoles(), schemas.RoleAgent, schemas.RoleReviewer, schemas.RoleExecutor)
	return completer(roles, func(ctx context.Context, c *client.Conn) []string {
		found, err := c.Catalog(ctx, "")
		if err != nil {
			return nil
		}
		var words []string
		for _, a := range found.Actions {
			words = append(words, string(a.Action)+"\t"+visible(a.Title))
		}
		return words
	})(cmd, args, prefix)
}

// completeIntents completes the id of an intent that waits.
func completeIntents(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	roles := append(adminRoles(), schemas.RoleAgent, schemas.RoleReviewer, schemas.RoleExecutor)
	return completer(roles, func(ctx context.Context, c *client.Conn) []string {
		page, err := c.List(ctx, "", 100, "")
		if err != nil {
			return nil
		}
		return intentWords(page)
	})(cmd, args, prefix)
}

// completeHolds completes the id of a hold that a reviewer may decide on.
func completeHolds(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return completer([]schemas.Role{schemas.RoleReviewer}, func(ctx context.Context, c *client.Conn) []string {
		page, err := client.Reviewer{Conn: c}.List(ctx, "", 100, "")
		if err != nil {
			return nil
		}
		return intentWords(page)
	})(cmd, args, prefix)
}

// completeStanding completes the id of a standing approval that can be revoked.
func completeStanding(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return completer([]schemas.Role{schemas.RoleReviewer}, func(ctx context.Context, c *client.Conn) []string {
		lines, err := client.Reviewer{Conn: c}.Standing(ctx, 100)
		if err != nil {
			return nil
		}
		var words []string
		for _, l := range inEffect(lines, false) {
			words = append(words, l.Key().String()+"\t"+visible(covered(l.Standing)))
		}
		return words
	})(cmd, args, prefix)
}

func intentWords(page schemas.HoldPage) []string {
	var words []string
	for _, h := range page.Holds {
		words = append(words, string(h.Agent)+"/"+string(h.Intent)+"\t"+string(h.Action)+" "+string(h.State))
	}
	return words
}

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/holdpoint/holdpoint/broker"
	"github.com/holdpoint/holdpoint/schemas"
)

// someID is an intent's id that nobody uses.
const someID schemas.IntentID = "01HZZZZZZZZZZZZZZZZZZZZZZZ"

// kinds are the first tokens of everything that the streams store.
func kinds() []string {
	var all []string
	for _, stream := range schemas.Streams() {
		for _, subject := range stream.Subjects() {
			kind, _, _ := strings.Cut(subject, ".")
			all = append(all, kind)
		}
	}
	return all
}

// storedSubjects are subjects of every stream, in the names of several people.
func storedSubjects(names ...schemas.Name) []string {
	var all []string
	for _, name := range names {
		for _, kind := range kinds() {
			for _, s := range []schemas.Subject{
				{Agent: name, Writer: name, Queue: "vaults", Action: "vault.open", About: "freeze"},
				{Agent: name, Writer: name, Queue: "billing", Action: "shop.refund", About: "identity"},
				{Agent: name, Writer: "execute", Queue: "billing", Action: schemas.Withdraw, About: "removal"},
				{Agent: "victim", Writer: name, Queue: "vaults", Action: "shop.refund", About: "bundle"},
				{Agent: "victim", Writer: "provision", Queue: "vaults", Action: "vault.open", About: "stream"},
				{Agent: "victim", Writer: "vera", Queue: "vaults", Action: "vault.open", About: "thaw"},
			} {
				s.Kind, s.Intent, s.Outcome, s.Record = kind, someID, "release", name
				all = append(all, s.String())
			}
		}
	}
	return unique(all)
}

// verbs are the subjects of the JetStream API, as the server names them.
func verbs() []string {
	return []string{
		server.JSApiAccountInfo, server.JSApiStreams, server.JSApiStreamList,
		server.JSApiStreamCreateT, server.JSApiStreamUpdateT, server.JSApiStreamInfoT, server.JSApiStreamDeleteT,
		server.JSApiStreamPurgeT, server.JSApiStreamSnapshotT, server.JSApiStreamRestoreT, server.JSApiMsgDeleteT,
		server.JSApiMsgGetT, server.JSDirectMsgGetT, server.JSApiStreamRemovePeerT, server.JSApiStreamEvacuatePeerT,
		server.JSApiStreamCancelMoveT, server.JSApiStreamLeaderStepDownT,
		server.JSApiConsumerCreateT, server.JSApiConsumersT, server.JSApiConsumerListT,
		server.JSApiDurableCreateT, server.JSApiConsumerInfoT, server.JSApiConsumerDeleteT, server.JSApiConsumerPauseT,
		server.JSApiRequestNextT, server.JSApiConsumerResetT, server.JSApiConsumerUnpinT,
		server.JSApiConsumerLeaderStepDownT, server.JSApiConsumerRemovePeerT, server.JSApiConsumerEvacuatePeerT,
		server.JSApiConsumerCreateExT,
		server.JSApiLeaderStepDown, server.JSApiRemoveServer, server.JSApiEvacuateServer, server.JSApiMetaRescue,
		server.JSApiAccountPurgeT, server.JSApiServerStreamMoveT, server.JSApiServerStreamCancelMoveT,
	}
}

// keptStreams names every stream, and a consumer of it that exists, or might.
func keptStreams() map[schemas.Stream]string {
	streams := map[schemas.Stream]string{schemas.Audit: "observe", "OBJ_bundles": "observe"}
	for _, stream := range schemas.Streams() {
		streams[stream] = "execute"
	}
	streams[schemas.Intents], streams[schemas.Observed], streams[schemas.Settled] = "observe", "recommend", "exec-vault"
	return streams
}

// apiSubjects are all verbs on all streams, under the prefix by which one account
// sees the streams of another.
func apiSubjects(prefix string) []string {
	var all []string
	for stream, consumer := range keptStreams() {
		for _, verb := range verbs() {
			args := []any{string(stream), consumer, "released.>"}
			subject := fmt.Sprintf(verb, args[:strings.Count(verb, "%s")]...)
			all = append(all, prefix+strings.TrimPrefix(subject, server.JSApiPrefix))
		}
		if prefix == broker.API {
			continue
		}
		all = append(all,
			fmt.Sprintf("$JS.ACK.%s.%s.1.1.1.1.1", stream, consumer),
			fmt.Sprintf("$JS.ACK._.%s.%s.%s.1.1.1.1.1", tenant.Account(broker.Gate), stream, consumer),
			fmt.Sprintf("$JS.FC.%s.%s.x", stream, consumer),
		)
	}
	slices.Sort(all)
	return unique(all)
}

// oddSubjects are everything else that means something to somebody, and what
// means nothing.
func oddSubjects(name schemas.Name) []string {
	all := []string{
		"copy.audit.x", "copy.x", "_R_.x", "_R_.x.y", "_GR_.x.y", "$GR.x", "$NRG.x", "$SYS.REQ.USER.INFO",
		"$SYS.REQ.SERVER.PING", "$SYS.REQ.SERVER.PING.JSZ", "$SYS.REQ.ACCOUNT.PING.CONNZ", "$SYS.REQ.ACCOUNT.PING.SUBSZ",
		"$SYS.REQ.USER.AUTH", "$SYS.ACCOUNT.X.CONNECT", "$SYS.DEBUG.SUBSCRIBERS", "$SRV.PING", "$SRV.INFO",
		"$KV.x.y", "$MQTT.x", "$O.bundles.C.x", "$O.bundles.M.x", "$O.bundles.x", "$O.other.C.x",
		"_INBOX_victim.x", "_INBOX_victim.>", "_INBOX.x", "_INBOX_observe.x", "_INBOX_execute.x", "_INBOX_answer.x", "_INBOX_aud.x",
		"*", ">", "x", "intents", "intents.>", "intents.*.*.*", "audit.intents.victim", "INTENTS", "AUDIT",
		"ask.victim.status", "ask.vera.holds", "ask.vex.work", "ask.identity-admin.identities", "ask.execute.gate",
		"claims.vex.victim." + string(someID), "claims.exa.victim." + string(someID),
		"notices.victim." + string(someID) + ".released", "holds.vaults.victim." + string(someID) + ".parked",
		"_INBOX_" + string(name) + ".u.10.fail.1.0.$FI", "_INBOX_" + string(name) + ".u.10.ok.1.2.$FI", "x.u.10.fail.2.1.$FI",
		string("intents." + name + ".shop.\x7f"), "intents." + string(name) + ".shop.\xff", "intents." + string(name) + ".*.>",
		"intents." + string(name) + ".shop", "intents." + string(name) + ".shop.refund.x", "intents." + string(name) + "..x",
		"intents." + string(name) + ".shop." + strings.Repeat("x", 1000),
	}
	for _, what := range []string{schemas.AskStatus, schemas.AskShow, schemas.AskHolds, schemas.AskHold, schemas.AskDecision,
		schemas.AskWork, schemas.AskReport, schemas.AskIdentities, schemas.AskGate, schemas.AskBudgets, "x", ">", "*"} {
		all = append(all, "ask."+string(name)+"."+what)
	}
	return all
}

// prefixes are those under which some account knows the JetStream API.
var prefixes = []string{server.JSApiPrefix, broker.API, "GATE.API", "AUDIT.API"}

// targets is every subject that an attacker may wish to reach.
func targets(name schemas.Name) []string {
	all := append(storedSubjects(name, "victim", "observe"), oddSubjects(name)...)
	for _, prefix := range prefixes {
		all = append(all, apiSubjects(prefix)...)
	}
	return unique(all)
}

// worst are the targets that would do the most harm: all that are stored, and
// what changes or removes a stream.
func worst(name schemas.Name) []string {
	all := append(storedSubjects(name, "victim"), oddSubjects(name)...)
	for _, subject := range apiSubjects(server.JSApiPrefix) {
		for _, verb := range []string{".STREAM.DELETE.", ".STREAM.PURGE.", ".STREAM.UPDATE.", ".CONSUMER.DELETE."} {
			if strings.Contains(subject, verb) {
				all = append(all, subject)
			}
		}
	}
	return unique(all)
}

func unique(all []string) []string {
	slices.Sort(all)
	return slices.Compact(all)
}

// permits reports whether one of the patterns, permissions as the broker reads
// them, covers a subject.
func permits(patterns []string, subject string) bool {
	tokens := strings.Split(subject, ".")
	if slices.Contains(tokens, "") {
		return false
	}
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		want := strings.Split(pattern, ".")
		for i, w := range want {
			switch {
			case w == ">":
				return len(tokens) > i
			case i >= len(tokens), w != "*" && w != tokens[i]:
				return false
			}
		}
		return len(tokens) == len(want)
	})
}

// Program judge says what GitOps tools make of objects: Flux by kstatus, Argo CD by the Lua scripts of manifests/argocd, run by the
// interpreter and with the libraries that it has there (Lua 5.1; no string, no math).
//
// It reads a list of {"object", "health", "discovery", "action"} and answers a list of {"kstatus", "health", "discovery", "result"}; scripts
// that are not given are not run. A result is what Argo CD would do: {"create": object}, or {"patch": a merge patch}.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type question struct {
	Object    json.RawMessage
	Health    string
	Discovery string
	Action    string
}

type answer struct {
	Kstatus        string `json:"kstatus"`
	KstatusMessage string `json:"kstatusMessage"`
	Health         any    `json:"health,omitempty"`
	Discovery      any    `json:"discovery,omitempty"`
	Result         any    `json:"result,omitempty"`
}

func main() {
	var questions []question
	fail(json.NewDecoder(os.Stdin).Decode(&questions))
	answers := make([]answer, len(questions))
	for i, q := range questions {
		answers[i] = judge(q)
	}
	fail(json.NewEncoder(os.Stdout).Encode(answers))
}

func judge(q question) answer {
	object := &unstructured.Unstructured{}
	fail(object.UnmarshalJSON(q.Object))
	result, err := status.Compute(object)
	fail(err)
	a := answer{Kstatus: result.Status.String(), KstatusMessage: result.Message}
	if q.Health != "" {
		a.Health = run(object, q.Health)
	}
	if q.Discovery != "" {
		a.Discovery = run(object, q.Discovery)
	}
	if q.Action != "" {
		a.Result = act(object, run(object, q.Action))
	}
	return a
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "judge:", err)
		os.Exit(1)
	}
}

// run is Argo CD's sandbox: a second at most, these libraries, and an os of its own that has to be required.
func run(object *unstructured.Unstructured, script string) any {
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer l.Close()
	for name, open := range map[string]lua.LGFunction{lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
		fail(l.CallByParam(lua.P{Fn: l.NewFunction(open), Protect: true}, lua.LString(name)))
	}
	l.PreloadModule(lua.OsLibName, func(l *lua.LState) int {
		l.Push(l.SetFuncs(l.NewTable(), map[string]lua.LGFunction{"date": date}))
		return 1
	})
	limit, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	l.SetContext(limit)
	l.SetGlobal("obj", toLua(l, object.Object))
	fail(l.DoString(script))
	return fromLua(l.Get(-1))
}

// date knows the formats that the scripts ask for.
func date(l *lua.LState) int {
	formats := map[string]string{"!%Y%m%d%H%M%S": "20060102150405", "!%Y-%m-%dT%H:%M:%S": "2006-01-02T15:04:05"}
	format, known := formats[l.CheckString(1)]
	if !known {
		l.RaiseError("os.date(%q)", l.CheckString(1))
	}
	l.Push(lua.LString(time.Now().UTC().Format(format)))
	return 1
}

func toLua(l *lua.LState, value any) lua.LValue {
	switch v := value.(type) {
	case bool:
		return lua.LBool(v)
	case int64:
		return lua.LNumber(v)
	case float64:
		return lua.LNumber(v)
	case string:
		return lua.LString(v)
	case []any:
		table := l.NewTable()
		for _, item := range v {
			table.Append(toLua(l, item))
		}
		return table
	case map[string]any:
		table := l.NewTable()
		for key, item := range v {
			table.RawSetString(key, toLua(l, item))
		}
		return table
	}
	return lua.LNil
}

func fromLua(value lua.LValue) any {
	switch v := value.(type) {
	case lua.LBool:
		return bool(v)
	case lua.LNumber:
		return float64(v)
	case lua.LString:
		return string(v)
	case *lua.LTable:
		if key, _ := v.Next(lua.LNil); key == lua.LNil || key.Type() == lua.LTNumber {
			list := []any{}
			v.ForEach(func(_, item lua.LValue) { list = append(list, fromLua(item)) })
			return list
		}
		object := map[string]any{}
		v.ForEach(func(key, item lua.LValue) { object[key.String()] = fromLua(item) })
		return object
	}
	return nil
}

// act: an object is patched with what the script changed of it; a list says itself what to do.
func act(object *unstructured.Unstructured, returned any) any {
	if list, ok := returned.([]any); ok {
		one := list[0].(map[string]any)
		return map[string]any{one["operation"].(string): one["resource"]}
	}
	before, err := json.Marshal(object.Object)
	fail(err)
	after, err := json.Marshal(mended(returned, object.Object))
	fail(err)
	patch, err := jsonpatch.CreateMergePatch(before, after)
	fail(err)
	return map[string]any{"patch": json.RawMessage(patch)}
}

// mended: what Lua gives back as an empty list was an object, if it was one before.
func mended(after, before any) any {
	switch old := before.(type) {
	case map[string]any:
		changed, ok := after.(map[string]any)
		if list, is := after.([]any); is && len(list) == 0 {
			return old
		}
		for key := range changed {
			if was, known := old[key]; ok && known {
				changed[key] = mended(changed[key], was)
			}
		}
	case []any:
		list, _ := after.([]any)
		for i := 0; i < min(len(list), len(old)); i++ {
			list[i] = mended(list[i], old[i])
		}
	}
	return after
}

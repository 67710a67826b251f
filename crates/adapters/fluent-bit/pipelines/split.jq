# Splits whole events into events of at most 500 attributes, or of 50 objects:
# jq --compact-output --from-file split.jq events.jsonl > split.jsonl
(.Event // .) as $event
| [$event.Attribute[]?] as $attributes
| [$event.Object[]?] as $objects
| if ($attributes | length) <= 500 and ($objects | length) <= 50 then $event
  else
    (range(0; $attributes | length; 500) as $from
      | $event + {Attribute: $attributes[$from:$from + 500], Object: []}),
    (range(0; $objects | length; 50) as $from
      | $event + {Attribute: [], Object: $objects[$from:$from + 50]})
  end
| {Event: .}

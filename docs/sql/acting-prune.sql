delete from admiral.previews as preview where preview.asked_at < now() - interval '60 minutes';

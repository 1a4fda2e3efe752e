// German. Keys and placeholders are those of en.js.

export const texts = {
  skip: "Zum Bild springen",
  "top.label": "Verlauf, Token und Sprache",
  history: "Verlauf",
  token: "Token",
  language: "Sprache",
  close: "Schließen",
  cancel: "Abbrechen",
  back: "Zurück",
  retry: "Erneut versuchen",

  "server.asking": "Wird geprüft",
  "server.ready": "Bereit",
  "server.embedded": "mit dem eingebauten Leser",
  "server.with_token": "mit Token",
  "server.loading": "Lädt",
  "server.the_model": "das Modell",
  "server.stopping": "Wird beendet",
  "server.offline": "Offline",
  "offline.title": "Der Server ist nicht erreichbar.",
  "offline.text":
    "Zum Lesen eines Fotos wird der Server gebraucht. Diese Seite und Ihr Verlauf funktionieren auch offline.",

  "stage.label": "Bild",
  "stage.sketch":
    "Ein Schlüssel, flach und gerade in einem Rahmen, den er ausfüllt, mit einer Linie an jedem der fünf Einschnitte",
  "stage.drop": "Bild hier ablegen",
  "photo.alt": "Das Foto, das gelesen wird",
  "photo.read": "Das Foto zu diesem Ergebnis",

  "camera.preview": "Kamerabild",
  "camera.title": "Halten Sie den Schlüssel vor die Kamera",
  "camera.on": "Die Kamera ist an",
  "camera.aim": "Flach und gerade, den Rahmen ausfüllend",
  "camera.dark": "Zu dunkel: mehr Licht",
  "camera.steady": "Telefon ruhig halten",
  "camera.closer": "Zu weit weg: näher herangehen",
  "camera.shoot": "Foto aufnehmen",
  "camera.flip": "Griff rechts",
  "camera.light": "Licht",
  "camera.https":
    "Browser erlauben die Kamera nur auf https-Seiten. Nehmen Sie die Kamera-App, oder wählen Sie ein Foto.",
  "camera.not_allowed":
    "Der Browser darf die Kamera nicht benutzen. Erlauben Sie es in den Einstellungen der Seite, oder wählen Sie ein Foto.",
  "camera.not_found": "Keine Kamera gefunden. Wählen Sie ein Foto.",
  "camera.in_use":
    "Ein anderes Programm benutzt die Kamera. Schließen Sie es, oder wählen Sie ein Foto.",
  "camera.failed": "Die Kamera lässt sich nicht benutzen. Wählen Sie ein Foto.",

  "start.title": "Schlüssel fotografieren, Code ablesen.",
  "start.lead":
    "Profil, Tiefe jedes Einschnitts, Zuverlässigkeit, und was die Schließung für Ihr Schloss bedeutet.",
  "start.camera": "Kamera benutzen",
  "start.choose": "Foto wählen",
  "start.sample": "Kein Schlüssel da? Beispiel ansehen",
  "start.drop": "Oder ein Bild irgendwo auf dieser Seite ablegen oder einfügen.",
  "start.caution":
    "Lesen Sie nur Schlüssel, die Ihnen gehören oder die Sie kopieren dürfen. Das Foto geht an diesen Server, der es liest und nie auf die Festplatte schreibt.",
  "start.share_lost":
    "Das geteilte Foto ist nicht angekommen. Teilen Sie es noch einmal, oder wählen Sie es hier.",
  "tips.label": "So gelingt das Foto",
  "tips.flat": "Flach auf einfarbigem Grund",
  "tips.fill": "Füllt die Breite, ganz im Bild",
  "tips.above": "Genau von oben, bei weichem Licht",

  "work.title": "Das Foto wird gelesen",
  "work.label": "Fortschritt",
  "work.preparing": "Foto wird vorbereitet",
  "work.sending": "Foto wird gesendet",
  "work.sending_part": "Wird gesendet, {part}",
  "work.reading": "Schlüssel wird gelesen",

  "reading.announce": "Ergebnis: {keyway}, Code {code}, zu {confidence} sicher",
  "reading.announce_edited": "Ergebnis: {keyway}, Code {code}, von Hand geändert",
  "reading.not_saved": "Das Ergebnis konnte nicht im Verlauf gespeichert werden",
  "reading.sample": "Das ist ein Beispielfoto, nicht Ihr Schlüssel.",
  "reading.stored": "Aus Ihrem Verlauf, gelesen am {when}.",
  "reading.cuts": {
    one: "{n} Einschnitt, vom Griff zur Spitze",
    other: "{n} Einschnitte, vom Griff zur Spitze",
  },
  "reading.code": "Code {code}",
  "reading.cut": "Nr. {n}",
  "reading.confidence": "Zu {confidence} sicher,",
  "reading.confidence_means": "dass der ganze Code stimmt.",
  "reading.uncalibrated":
    "Für dieses Modell ist keine Kalibrierung gemessen; die Zahl kann daneben liegen.",
  "reading.check":
    "Prüfen Sie den Code mit einer Schlüssellehre, bevor Sie einen Schlüssel fräsen lassen.",
  "reading.retake":
    "Machen Sie noch ein Foto, und prüfen Sie den Code mit einer Schlüssellehre, bevor Sie einen Schlüssel fräsen lassen.",
  "reading.caution":
    "Mit diesem Code kann jeder den Schlüssel fräsen. Geben Sie ihn nur Menschen, denen Sie auch den Schlüssel geben würden.",
  "reading.again": "Nächsten Schlüssel lesen",
  "reading.copy": "Code kopieren",
  "reading.share": "Teilen",
  "reading.copied": "Kopiert",
  "reading.not_allowed": "Nicht erlaubt",
  "reading.others": "Andere mögliche Codes",
  "reading.unlikely": "unter {share}",

  "edited.title": "Von Hand geändert",
  "edited.mark": "geändert",
  "edited.text":
    "Gelesen wurde {code}, zu {confidence} sicher. Diese Zahl gilt nicht für den geänderten Code.",
  "edited.undo": "Änderungen zurücknehmen",
  "edited.copy": "{code} (von Hand geändert)",
  "edited.assessment":
    "Die Bewertung wird nicht gezeigt, denn sie gilt nur für den gelesenen Code.",

  "cuts.title": "Die Einschnitte",
  "cuts.cut": "Nr.",
  "cuts.depth": "Tiefe",
  "cuts.height": "Resthöhe",
  "cuts.probability": "Sicherheit",
  "cuts.worn": "abgenutzt?",
  "cuts.worn_means":
    "Ein Einschnitt mit „abgenutzt?“ liegt zwischen zwei Tiefen. Vielleicht braucht das Schloss die benachbarte Tiefe.",
  "cuts.other_keys":
    "Auf dem Bild scheinen mehrere Schlüssel zu sein. Das ist der Code des größten.",
  "cuts.unit": "Einheit der Resthöhe",
  "cuts.mm": "mm",
  "cuts.in": "Zoll",
  "cuts.edit": "Einschnitt korrigieren",
  "cuts.edit_done": "Fertig",
  "cuts.depth_of": "Tiefe von Einschnitt {n}",
  "cuts.was": "gelesen: {depth}",
  "cuts.by_hand": "von Hand",
  "number.mm": "{n} mm",
  "number.in": "{n} in",
  "number.ms": "{n} ms",
  "number.px": "{n} px",

  "drawing.words": "Der Schaft mit Umriss und {n} Einschnitten, vom Griff aus: {cuts}",
  "drawing.cut": "Einschnitt {n} Tiefe {depth}",
  "drawing.blade": "Schaft",
  "drawing.whole": "Ganzes Foto",
  "drawing.view": "Ansicht",
  "drawing.no_picture":
    "Dieser Browser kann das Fotoformat nicht zeigen, der Server kann es aber lesen.",
  "drawing.stored": "Fotos werden nicht gespeichert. Das ist die Zeichnung des Ergebnisses.",

  "assessment.title": "Was das für das Schloss bedeutet",
  "assessment.weak": "Schwach, von 100",
  "assessment.fair": "Mittel, von 100",
  "assessment.good": "Gut, von 100",
  "assessment.todo": "Was zu tun ist",
  "assessment.sources": "Quellen",
  "assessment.score": "So kommt die Punktzahl zustande",
  "assessment.part": "{name}: {points} von {of}. {why}",
  "assessment.keyed_alike": "Gleichschließende Schlüssel",
  "assessment.key_space": "Zahl der möglichen Codes",
  "assessment.pattern": "Muster der Einschnitte",
  "assessment.profile": "Wechsel der Einschnitte",
  "assessment.blank": "Wer ihn kopieren kann",
  "assessment.bumping": "Schlagschlüssel",

  "details.title": "Foto und Leser",
  "details.sharpness": "Schärfe",
  "details.pixels": "Pixel je Tiefenstufe",
  "details.tilt": "Neigung, ungefähr",
  "details.model": "Modell",
  "details.time": "Zeit auf dem Server",
  "details.cached": "aus dem Zwischenspeicher",
  "details.json": "Die ganze Antwort als JSON",

  "refusal.camera": "Neues Foto aufnehmen",
  "refusal.choose": "Anderes Foto wählen",
  "refusal.unknown": "Der Schlüssel war nicht zu lesen",
  "reason.not_a_key": "Kein Schlüssel auf dem Foto",
  "reason.several_keys": "Mehr als ein Schlüssel",
  "reason.no_cuts": "Dieser Schlüssel hat keine Einschnitte",
  "reason.unsupported_keyway": "Unbekannte Schlüsselfamilie",
  "reason.too_small": "Der Schlüssel ist zu klein",
  "reason.too_blurred": "Der Schaft ist unscharf",
  "reason.glare": "Der Schaft spiegelt zu stark",
  "reason.cropped": "Ein Teil des Schafts fehlt",
  "reason.too_tilted": "Der Schlüssel liegt schräg",
  "reason.low_confidence": "Das Ergebnis ist zu unsicher",
  "reason.readers_disagree": "Zwei Leser widersprechen sich",
  "reason.no_code_in_reply": "Das Modell nannte keinen Code",

  "failure.other": "Etwas ist schiefgegangen",
  "failure.other.advice":
    "Versuchen Sie es erneut. Geht es weiterhin nicht, fragen Sie den Betreiber des Servers.",
  "failure.unreachable": "Der Server ist nicht erreichbar",
  "failure.unreachable.advice":
    "Das Foto ist noch da. Prüfen Sie Verbindung und Server, und versuchen Sie es erneut.",
  "failure.rate_limited": "Zu viele Fotos für den Moment",
  "failure.rate_limited.advice": "Der Server begrenzt die Zahl der Fotos je Zeitraum.",
  "failure.overloaded": "Der Server ist ausgelastet",
  "failure.overloaded.advice": "Es warten mehr Fotos, als er rechtzeitig lesen kann.",
  "failure.model_loading": "Das Modell lädt noch",
  "failure.model_loading.advice": "Es ist gleich bereit.",
  "failure.deadline_exceeded": "Es hat zu lange gedauert",
  "failure.deadline_exceeded.advice":
    "Der Server konnte das Foto nicht rechtzeitig lesen. Versuchen Sie es erneut.",
  "failure.unauthorized": "Dieser Server verlangt ein Token",
  "failure.unauthorized.advice":
    "Geben Sie das Token vom Betreiber des Servers ein, oder scannen Sie seinen QR-Code.",
  "failure.forbidden": "Dieses Token erlaubt das nicht",
  "failure.forbidden.advice": "Der Betreiber des Servers kann Ihnen ein anderes geben.",
  "failure.image_too_large": "Das Bild ist zu groß",
  "failure.image_too_large.advice": "Wählen Sie ein kleineres.",
  "failure.unsupported_image_type": "Dieses Bildformat geht nicht",
  "failure.unsupported_image_type.advice": "Möglich sind JPEG, PNG, WebP, HEIC, AVIF und GIF.",
  "failure.bad_image": "Das Bild ist beschädigt",
  "failure.bad_image.advice": "Nehmen Sie es neu auf, oder wählen Sie ein anderes.",
  "failure.wrong_file": "Diese Datei ist kein Bild",
  "failure.wrong_file.advice":
    "„{name}“ lässt sich nicht lesen. Wählen Sie ein Foto eines Schlüssels: JPEG, PNG, WebP, HEIC, AVIF oder GIF.",
  "failure.empty_file": "Diese Datei ist leer",
  "failure.empty_file.advice":
    "„{name}“ hat keinen Inhalt. Vielleicht ist sie noch nicht ganz heruntergeladen. Öffnen Sie sie einmal, oder wählen Sie eine andere.",
  "failure.token": "Token eingeben",
  "failure.over": "Von vorn",
  "failure.request": "Anfrage {id}",
  "failure.wait": "Das nächste Foto kann in {wait} gelesen werden, um {at}.",
  "failure.retry_s": "Erneut in {n} s",
  "failure.retry_min": "Erneut in {n} min",
  "number.seconds": { one: "{n} Sekunde", other: "{n} Sekunden" },
  "number.minutes": { one: "{n} Minute", other: "{n} Minuten" },

  "history.none": "Noch keine Ergebnisse.",
  "history.https":
    "Der Verlauf braucht https oder eine Seite dieses Geräts: Nur dort verschlüsseln Browser.",
  "history.save":
    "Neue Ergebnisse auf diesem Gerät speichern. Gespeichertes bleibt, bis Sie es löschen.",
  "history.security":
    "Einträge werden nur in diesem Browser gespeichert. Sie sind verschlüsselt (AES-GCM, 256 Bit), mit einem Schlüssel, den Skripte nicht auslesen können. Das schützt, wenn jemand nur die Einträge kopiert. Es schützt nicht vor jemandem, der dieses Gerät entsperrt in der Hand hat oder alle Daten dieses Browsers kopiert. Dagegen helfen die Bildschirmsperre und die Verschlüsselung des Geräts. Fotos und Token werden hier nie gespeichert. Eine exportierte Datei ist nicht verschlüsselt.",
  "history.how": "So sind die Einträge geschützt",
  "history.name": "Name: Haustür, Schuppen …",
  "history.name_of": "Name des Ergebnisses vom {when}",
  "history.name_saved": "Name gespeichert",
  "history.about": "{key}, zu {confidence} sicher, {when}",
  "history.about_edited": "{key}, von Hand geändert, {when}",
  "history.open": "Öffnen",
  "history.open_of": "Öffnen: Ergebnis vom {when}",
  "history.copy": "Kopieren",
  "history.copy_of": "Kopieren: Code des Ergebnisses vom {when}",
  "history.delete": "Löschen",
  "history.delete_of": "Löschen: Ergebnis vom {when}",
  "history.delete_all": "Alle löschen",
  "history.delete_all_sure": "Wirklich alle löschen?",
  "history.press_again": "Noch einmal drücken, um alle zu löschen",
  "history.deleted": { one: "{n} Ergebnis gelöscht.", other: "{n} Ergebnisse gelöscht." },
  "history.undo": "Rückgängig",
  "history.restored": "Wiederhergestellt",
  "history.export": "CSV exportieren",

  "token.why":
    "Ein Server, der von anderen Geräten erreichbar ist, verlangt ein Token. Sein Betreiber erzeugt es mit {command}.",
  "token.keep":
    "Auf diesem Gerät merken. Sonst wird es entfernt, wenn dieser Tab geschlossen wird.",
  "token.use": "Dieses Token benutzen",
  "token.remove": "Entfernen",
  "token.removed": "Token entfernt",
  "token.taken": "Token aus der Adresse übernommen",

  "footer.caution":
    "Mit dem Code kann jeder den Schlüssel kopieren. Hüten Sie ihn also wie den Schlüssel.",
  "footer.programs": "Programme können {api} benutzen.",
  "footer.api": "die API",
  "footer.install": "Als App installieren",
}

// Advice for each reason of a refusal.
export const advice = {
  not_a_key:
    "Legen Sie einen einzelnen Hausschlüssel flach auf einfarbigen Grund, füllen Sie mit ihm fast das ganze Bild, und fotografieren Sie genau von oben.",
  several_keys:
    "Fotografieren Sie nur einen Schlüssel: Nehmen Sie ihn vom Ring, oder legen Sie die anderen aus dem Bild.",
  no_cuts:
    "Das ist ein Rohling ohne Einschnitte, er trägt keinen Code. Fotografieren Sie einen Schlüssel, der ein Schloss öffnet.",
  unsupported_keyway:
    "Gelesen werden nur Schlüssel mit den Profilen SC1 und SC4 von Schlage und KW1 von Kwikset. Prüfen Sie die Prägung auf dem Griff.",
  too_small:
    "Gehen Sie näher heran, bis der Schlüssel fast das ganze Bild füllt, oder senden Sie das Foto in voller Größe.",
  too_blurred:
    "Halten Sie das Telefon ruhig, tippen Sie zum Scharfstellen auf den Schaft, und sorgen Sie für mehr Licht.",
  glare:
    "Drehen Sie den Schlüssel oder die Lampe, bis der Schaft nicht mehr spiegelt, oder nutzen Sie Tageslicht von der Seite.",
  cropped: "Der ganze Schaft muss im Bild sein, vom Anschlag bis zur Spitze.",
  too_tilted:
    "Legen Sie den Schlüssel flach hin, und fotografieren Sie genau von oben, das Telefon parallel zu ihm. Hilft das nicht, gehört der Schlüssel vielleicht nicht zu SC1, SC4 oder KW1.",
  low_confidence:
    "Machen Sie noch ein Foto: den Schlüssel flach auf einfarbigem Grund bei weichem Licht, das Telefon genau darüber, den Schaft scharf. Hilft das nicht, gehört der Schlüssel vielleicht nicht zu SC1, SC4 oder KW1.",
  readers_disagree:
    "Machen Sie noch ein Foto, genau von oben bei weichem Licht, und prüfen Sie den Code mit einer Schlüssellehre.",
  no_code_in_reply:
    "Machen Sie noch ein Foto: den Schlüssel flach auf einfarbigem Grund, genau von oben, scharf und bei weichem Licht.",
}

// The server's sentences about a code, in English, with their translations.
export const sentences = {
  "At best 1 in {codes} {keyway} keys is cut the same, if all codes are used equally; in practice locks sold together are often keyed alike.":
    "Bestenfalls ist 1 von {codes} Schlüsseln mit Profil {keyway} gleich geschnitten, wenn alle Codes gleich oft vorkommen; tatsächlich sind zusammen verkaufte Schlösser oft gleichschließend.",
  "At best 1 in {codes} {keyway} keys is cut the same, if all codes are used equally; but locks are sold with this code, so it is more common than that.":
    "Bestenfalls wäre 1 von {codes} Schlüsseln mit Profil {keyway} gleich geschnitten, wenn alle Codes gleich oft vorkämen; Schlösser werden aber mit diesem Code verkauft, er ist also häufiger.",
  "Locks are sold with this code, so it is no secret.":
    "Schlösser werden mit diesem Code verkauft, er ist also kein Geheimnis.",
  "All cuts are equally deep: the key is flat, easily guessed and easily copied.":
    "Alle Einschnitte sind gleich tief: Der Schlüssel ist eben, leicht zu erraten und leicht zu kopieren.",
  "Two neighbouring cuts differ by more than the maker allows (MACS), so one cut removes part of the other. The key may work badly, be worn, or have been misread.":
    "Zwei benachbarte Einschnitte unterscheiden sich stärker, als der Hersteller erlaubt (MACS); einer trägt einen Teil des anderen ab. Der Schlüssel schließt vielleicht schlecht, ist abgenutzt oder wurde falsch gelesen.",
  "The cuts only get deeper or only shallower, like a staircase: locksmiths avoid such codes.":
    "Die Einschnitte werden nur tiefer oder nur flacher, wie eine Treppe: Schlosser meiden solche Codes.",
  "The code has fewer than three different depths. Few such codes exist, and equal cuts let more other keys open the lock.":
    "Der Code hat weniger als drei verschiedene Tiefen. Davon gibt es nur wenige, und bei gleichen Einschnitten öffnen mehr fremde Schlüssel das Schloss.",
  "Three neighbouring cuts are equal, which the rules for good locks forbid.":
    "Drei benachbarte Einschnitte sind gleich; das verbieten die Regeln für gute Schlösser.",
  "The first cut, next to the bow, is very deep: this is where keys break most easily.":
    "Der erste Einschnitt am Griff ist sehr tief: Dort brechen Schlüssel am leichtesten.",
  "The blank is freely available: any shop can copy this key, and a Do Not Duplicate stamp has no legal force.":
    "Der Rohling ist frei erhältlich: Jedes Geschäft kann diesen Schlüssel kopieren, und eine Prägung „Do Not Duplicate“ bindet rechtlich niemanden.",
  "The blank is restricted: copies require proof of ownership.":
    "Das Profil ist geschützt: Kopien gibt es nur mit Sicherungskarte.",
  "Bump keys exist for this common keyway; burglars reportedly use them rarely.":
    "Für dieses verbreitete Profil gibt es Schlagschlüssel; Einbrecher benutzen sie Berichten zufolge selten.",
  "An ordinary pin tumbler lock can be bumped; burglars reportedly do so rarely.":
    "Ein gewöhnlicher Stiftzylinder lässt sich mit einem Schlagschlüssel öffnen; Einbrecher tun das Berichten zufolge selten.",
  "The lock is designed to resist bumping.": "Das Schloss ist gegen Schlagschlüssel gesichert.",
  "Have the lock rekeyed now: locks are sold with this code.":
    "Lassen Sie das Schloss jetzt umstiften: Schlösser werden mit diesem Code verkauft.",
  "When the lock is rekeyed, ask for a code with at least three depths that goes up and down.":
    "Wenn das Schloss umgestiftet wird, verlangen Sie einen Code mit mindestens drei Tiefen, der auf und ab geht.",
  "Have the key checked against the lock: the maker would not cut the code as read.":
    "Lassen Sie den Schlüssel am Schloss prüfen: Den gelesenen Code würde der Hersteller nicht fräsen.",
  "Keep a spare: this key is thin near the bow and may break there.":
    "Halten Sie einen Ersatz bereit: Dieser Schlüssel ist nahe am Griff dünn und kann dort brechen.",
  "Rekey after moving in or losing a key: nobody knows how many copies exist.":
    "Lassen Sie nach dem Einzug oder Verlust eines Schlüssels umstiften: Niemand weiß, wie viele Kopien es gibt.",
  "For an important door, ask a locksmith for a cylinder with a restricted keyway and protection against bumping.":
    "Für eine wichtige Tür fragen Sie beim Fachbetrieb nach einem Zylinder mit geschütztem Profil und Schutz gegen Schlagschlüssel.",
  "Do not share pictures of this key: a picture is enough to copy it.":
    "Zeigen Sie keine Bilder dieses Schlüssels: Ein Bild reicht, um ihn zu kopieren.",
  "The keyway has {codes} possible codes.": "Das Profil hat {codes} mögliche Codes.",
  "No weak pattern was found.": "Kein schwaches Muster gefunden.",
  "Weak patterns found: {number}.": "Schwache Muster gefunden: {number}.",
  "The cuts go up and down enough.": "Die Einschnitte gehen genug auf und ab.",
  "The cuts go up and down less than recommended.":
    "Die Einschnitte gehen weniger auf und ab als empfohlen.",
  "Anyone can buy the blank and copy the key.":
    "Jeder kann den Rohling kaufen und den Schlüssel kopieren.",
  "The blank is restricted, so copies require proof of ownership.":
    "Das Profil ist geschützt, Kopien gibt es nur mit Sicherungskarte.",
  "The keyway's exposure to bumping is high.": "Das Profil ist für Schlagschlüssel sehr anfällig.",
  "The keyway's exposure to bumping is moderate.":
    "Das Profil ist für Schlagschlüssel mäßig anfällig.",
  "The keyway's exposure to bumping is low.": "Das Profil ist für Schlagschlüssel kaum anfällig.",
}

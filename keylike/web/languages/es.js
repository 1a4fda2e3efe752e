// Spanish. Keys and placeholders are those of en.js.

export const texts = {
  skip: "Ir a la imagen",
  "top.label": "Historial, token e idioma",
  history: "Historial",
  token: "Token",
  language: "Idioma",
  close: "Cerrar",
  cancel: "Cancelar",
  back: "Volver",
  retry: "Reintentar",

  "server.asking": "Comprobando",
  "server.ready": "Listo",
  "server.embedded": "con el lector integrado",
  "server.with_token": "con token",
  "server.loading": "Cargando",
  "server.the_model": "el modelo",
  "server.stopping": "Deteniéndose",
  "server.offline": "Sin conexión",
  "offline.title": "No se puede conectar con el servidor.",
  "offline.text":
    "Para leer una foto hace falta el servidor. Esta página y tu historial funcionan sin conexión.",

  "stage.label": "Imagen",
  "stage.sketch":
    "Una llave plana y recta en un marco que llena, con una línea en cada uno de sus cinco cortes",
  "stage.drop": "Suelta la imagen aquí",
  "photo.alt": "La foto que se está leyendo",
  "photo.read": "La foto de esta lectura",

  "camera.preview": "Vista de la cámara",
  "camera.title": "Pon la llave delante de la cámara",
  "camera.on": "La cámara está encendida",
  "camera.aim": "Plana y recta, llenando el marco",
  "camera.dark": "Muy oscuro: usa más luz",
  "camera.steady": "No muevas el teléfono",
  "camera.closer": "Muy lejos: acércate",
  "camera.shoot": "Hacer la foto",
  "camera.flip": "Cabeza a la derecha",
  "camera.light": "Luz",
  "camera.https":
    "Los navegadores solo permiten la cámara en páginas https. Usa la app de la cámara o elige una foto.",
  "camera.not_allowed":
    "El navegador no puede usar la cámara. Permítelo en los ajustes de la página o elige una foto.",
  "camera.not_found": "No se encontró ninguna cámara. Elige una foto.",
  "camera.in_use": "Otro programa está usando la cámara. Ciérralo o elige una foto.",
  "camera.failed": "No se puede usar la cámara. Elige una foto.",

  "start.title": "Apunta el teléfono a una llave y mira su código.",
  "start.lead":
    "Perfil, profundidad de cada corte, fiabilidad y qué significa el código de cortes para tu cerradura.",
  "start.camera": "Usar la cámara",
  "start.choose": "Elegir una foto",
  "start.sample": "¿Sin llave a mano? Prueba un ejemplo",
  "start.drop": "O suelta o pega una imagen en cualquier parte de esta página.",
  "start.caution":
    "Lee solo llaves que sean tuyas o que tengas permiso para copiar. La foto se envía a este servidor, que la lee y nunca la guarda en disco.",
  "start.share_lost": "La foto compartida no llegó. Compártela otra vez o elígela aquí.",
  "tips.label": "Cómo hacer la foto",
  "tips.flat": "Plana sobre un fondo liso",
  "tips.fill": "A todo lo ancho, sin cortarla",
  "tips.above": "Desde arriba, con luz suave",

  "work.title": "Leyendo la foto",
  "work.label": "Progreso",
  "work.preparing": "Preparando la foto",
  "work.sending": "Enviando la foto",
  "work.sending_part": "Enviando, {part}",
  "work.reading": "Leyendo la llave",

  "reading.announce": "Lectura: {keyway}, código {code}, fiabilidad {confidence}",
  "reading.announce_edited": "Lectura: {keyway}, código {code}, corregido a mano",
  "reading.not_saved": "No se pudo guardar la lectura en el historial",
  "reading.sample": "Es una foto de ejemplo, no tu llave.",
  "reading.stored": "De tu historial, leída el {when}.",
  "reading.cuts": {
    one: "{n} corte, de la cabeza a la punta",
    other: "{n} cortes, de la cabeza a la punta",
  },
  "reading.code": "Código {code}",
  "reading.cut": "corte {n}",
  "reading.confidence": "{confidence} de probabilidad",
  "reading.confidence_means": "de que todo el código sea correcto.",
  "reading.uncalibrated":
    "Este modelo no tiene una calibración medida, así que la cifra puede no ser exacta.",
  "reading.check": "Comprueba el código con una galga de llaves antes de encargar una copia.",
  "reading.retake":
    "Haz otra foto y comprueba el código con una galga de llaves antes de encargar una copia.",
  "reading.caution":
    "Cualquiera que tenga este código puede hacer la llave. Envíalo solo a quien le darías la llave.",
  "reading.again": "Leer otra",
  "reading.copy": "Copiar código",
  "reading.share": "Compartir",
  "reading.copied": "Copiado",
  "reading.not_allowed": "No permitido",
  "reading.others": "Otros códigos posibles",
  "reading.unlikely": "menos del {share}",

  "edited.title": "Corregido a mano",
  "edited.mark": "corregido",
  "edited.text":
    "En la foto se leyó {code}, con un {confidence} de probabilidad. Esa cifra no vale para el código corregido.",
  "edited.undo": "Deshacer los cambios",
  "edited.copy": "{code} (corregido a mano)",
  "edited.assessment":
    "La valoración no se muestra, porque solo vale para el código que se leyó.",

  "cuts.title": "Cada corte",
  "cuts.cut": "N.º",
  "cuts.depth": "Prof.",
  "cuts.height": "Altura restante",
  "cuts.probability": "Probabilidad",
  "cuts.worn": "¿gastado?",
  "cuts.worn_means":
    "Un corte con «¿gastado?» está entre dos profundidades. Quizá la cerradura necesite la profundidad vecina.",
  "cuts.other_keys":
    "Parece que hay varias llaves en la imagen. Este es el código de la más grande.",
  "cuts.unit": "Unidad de la altura restante",
  "cuts.mm": "mm",
  "cuts.in": "pulgadas",
  "cuts.edit": "Corregir un corte",
  "cuts.edit_done": "Hecho",
  "cuts.depth_of": "Profundidad del corte {n}",
  "cuts.was": "leído: {depth}",
  "cuts.by_hand": "a mano",
  "number.mm": "{n} mm",
  "number.in": "{n} in",
  "number.ms": "{n} ms",
  "number.px": "{n} px",

  "drawing.words": "La hoja con su contorno y {n} cortes, empezando por la cabeza: {cuts}",
  "drawing.cut": "corte {n} profundidad {depth}",
  "drawing.blade": "Hoja",
  "drawing.whole": "Foto completa",
  "drawing.view": "Vista",
  "drawing.no_picture":
    "Este navegador no puede mostrar este formato de foto, pero el servidor sí puede leerlo.",
  "drawing.stored": "Las fotos no se guardan. Este es el dibujo de la lectura.",

  "assessment.title": "Qué significa para la cerradura",
  "assessment.weak": "Débil, de 100",
  "assessment.fair": "Regular, de 100",
  "assessment.good": "Bueno, de 100",
  "assessment.todo": "Qué hacer",
  "assessment.sources": "Fuentes",
  "assessment.score": "Cómo se calcula la puntuación",
  "assessment.part": "{name}: {points} de {of}. {why}",
  "assessment.keyed_alike": "Llaves con los mismos cortes",
  "assessment.key_space": "Número de códigos posibles",
  "assessment.pattern": "Patrón de los cortes",
  "assessment.profile": "Variación de los cortes",
  "assessment.blank": "Quién puede copiarla",
  "assessment.bumping": "Bumping",

  "details.title": "La foto y el lector",
  "details.sharpness": "Nitidez",
  "details.pixels": "Píxeles por nivel de profundidad",
  "details.tilt": "Inclinación, aproximada",
  "details.model": "Modelo",
  "details.time": "Tiempo en el servidor",
  "details.cached": "de la caché",
  "details.json": "La respuesta completa, en JSON",

  "refusal.camera": "Hacer otra foto",
  "refusal.choose": "Elegir otra foto",
  "refusal.unknown": "No se pudo leer la llave",
  "reason.not_a_key": "No hay ninguna llave en la foto",
  "reason.several_keys": "Hay más de una llave",
  "reason.no_cuts": "Esta llave no tiene cortes",
  "reason.unsupported_keyway": "Familia de llaves no admitida",
  "reason.too_small": "La llave es demasiado pequeña",
  "reason.too_blurred": "La hoja está borrosa",
  "reason.glare": "Demasiados reflejos en la hoja",
  "reason.cropped": "Falta parte de la hoja",
  "reason.too_tilted": "La llave está inclinada",
  "reason.low_confidence": "La lectura es demasiado insegura",
  "reason.readers_disagree": "Dos lectores no coinciden",
  "reason.no_code_in_reply": "El modelo no dio ningún código",

  "failure.other": "Algo salió mal",
  "failure.other.advice":
    "Inténtalo de nuevo. Si sigue fallando, avisa a quien administra el servidor.",
  "failure.unreachable": "No se puede conectar con el servidor",
  "failure.unreachable.advice":
    "La foto sigue aquí. Revisa la conexión y el servidor, e inténtalo de nuevo.",
  "failure.rate_limited": "Demasiadas fotos por ahora",
  "failure.rate_limited.advice": "El servidor limita el número de fotos por periodo.",
  "failure.overloaded": "El servidor está ocupado",
  "failure.overloaded.advice": "Hay más fotos en espera de las que puede leer a tiempo.",
  "failure.model_loading": "El modelo aún se está cargando",
  "failure.model_loading.advice": "Estará listo en breve.",
  "failure.deadline_exceeded": "Tardó demasiado",
  "failure.deadline_exceeded.advice":
    "El servidor no pudo leer la foto a tiempo. Inténtalo de nuevo.",
  "failure.unauthorized": "Este servidor pide un token",
  "failure.unauthorized.advice":
    "Escribe el token que te dio quien administra el servidor o escanea su código QR.",
  "failure.forbidden": "Este token no lo permite",
  "failure.forbidden.advice": "Quien administra el servidor puede darte otro.",
  "failure.image_too_large": "La imagen es demasiado grande",
  "failure.image_too_large.advice": "Elige una más pequeña.",
  "failure.unsupported_image_type": "Formato de imagen no admitido",
  "failure.unsupported_image_type.advice": "Se admiten JPEG, PNG, WebP, HEIC, AVIF y GIF.",
  "failure.bad_image": "La imagen está dañada",
  "failure.bad_image.advice": "Haz la foto otra vez o elige otra.",
  "failure.wrong_file": "Este archivo no es una imagen",
  "failure.wrong_file.advice":
    "«{name}» no se puede leer. Elige una foto de una llave: JPEG, PNG, WebP, HEIC, AVIF o GIF.",
  "failure.empty_file": "Este archivo está vacío",
  "failure.empty_file.advice":
    "«{name}» no tiene contenido. Quizá no se haya descargado del todo. Ábrelo una vez o elige otro.",
  "failure.token": "Escribir el token",
  "failure.over": "Empezar de nuevo",
  "failure.request": "Solicitud {id}",
  "failure.wait": "La próxima foto se podrá leer en {wait}, a las {at}.",
  "failure.retry_s": "Reintentar en {n} s",
  "failure.retry_min": "Reintentar en {n} min",
  "number.seconds": { one: "{n} segundo", other: "{n} segundos" },
  "number.minutes": { one: "{n} minuto", other: "{n} minutos" },

  "history.none": "No hay lecturas.",
  "history.https":
    "El historial necesita https o una página de este equipo: los navegadores solo cifran ahí.",
  "history.save":
    "Guardar las lecturas nuevas en este dispositivo. Lo guardado se conserva hasta que lo borres.",
  "history.security":
    "Las entradas se guardan solo en este navegador. Están cifradas (AES-GCM, 256 bits) con una clave que los scripts no pueden exportar. Eso las protege si alguien copia solo las entradas. No las protege de quien tenga este dispositivo desbloqueado o copie todos los datos de este navegador. De eso se encargan el bloqueo de pantalla y el cifrado del dispositivo. Aquí nunca se guardan fotos ni tokens. Un archivo exportado no está cifrado.",
  "history.how": "Cómo se protegen las entradas",
  "history.name": "Nombre: portal, trastero…",
  "history.name_of": "Nombre de la lectura del {when}",
  "history.name_saved": "Nombre guardado",
  "history.about": "{key}, fiabilidad {confidence}, {when}",
  "history.about_edited": "{key}, corregido a mano, {when}",
  "history.open": "Abrir",
  "history.open_of": "Abrir la lectura del {when}",
  "history.copy": "Copiar",
  "history.copy_of": "Copiar el código de la lectura del {when}",
  "history.delete": "Borrar",
  "history.delete_of": "Borrar la lectura del {when}",
  "history.delete_all": "Borrar todo",
  "history.delete_all_sure": "¿Borrar todo?",
  "history.press_again": "Pulsa otra vez para borrar todo",
  "history.deleted": { one: "{n} lectura borrada.", other: "{n} lecturas borradas." },
  "history.undo": "Deshacer",
  "history.restored": "Recuperado",
  "history.export": "Exportar CSV",

  "token.why":
    "Un servidor accesible desde otros equipos pide un token. Quien lo administra lo crea con {command}.",
  "token.keep": "Recordarlo en este dispositivo. Si no, se borra al cerrar esta pestaña.",
  "token.use": "Usar este token",
  "token.remove": "Quitar",
  "token.removed": "Token quitado",
  "token.taken": "Token tomado de la dirección",

  "footer.caution":
    "Quien tenga el código puede copiar la llave, así que guárdalo con el mismo cuidado que la llave.",
  "footer.programs": "Los programas pueden usar {api}.",
  "footer.api": "la API",
  "footer.install": "Instalar como app",
}

// Advice for each reason of a refusal.
export const advice = {
  not_a_key:
    "Pon una sola llave de casa plana sobre un fondo liso, que llene casi toda la imagen, y hazle la foto desde arriba.",
  several_keys:
    "Fotografía una sola llave: sácala del llavero o aparta las demás de la imagen.",
  no_cuts:
    "Es una llave virgen, sin cortes: no lleva ningún código. Fotografía una llave que abra una cerradura.",
  unsupported_keyway:
    "Solo se leen llaves Schlage SC1 y SC4 y Kwikset KW1. Mira el nombre grabado en la cabeza.",
  too_small:
    "Acércate hasta que la llave llene casi toda la imagen o envía la foto en tamaño completo.",
  too_blurred: "No muevas el teléfono, toca la hoja en la pantalla para enfocar y usa más luz.",
  glare:
    "Gira la llave o la lámpara hasta que la hoja deje de brillar, o usa luz natural de lado.",
  cropped: "Que se vea la hoja entera, desde el tope hasta la punta.",
  too_tilted:
    "Pon la llave plana y hazle la foto desde arriba, con el teléfono paralelo a ella. Si no sirve, quizá la llave no sea de la familia SC1, SC4 o KW1.",
  low_confidence:
    "Haz otra foto: la llave plana sobre un fondo liso con luz suave, el teléfono justo encima y la hoja nítida. Si no sirve, quizá la llave no sea de la familia SC1, SC4 o KW1.",
  readers_disagree:
    "Haz otra foto desde arriba, con luz suave, y comprueba el código con una galga de llaves.",
  no_code_in_reply:
    "Haz otra foto: la llave plana sobre un fondo liso, desde arriba, nítida y con luz suave.",
}

// The server's sentences about a code, in English, with their translations.
export const sentences = {
  "At best 1 in {codes} {keyway} keys is cut the same, if all codes are used equally; in practice locks sold together are often keyed alike.":
    "En el mejor de los casos, 1 de cada {codes} llaves {keyway} tiene los mismos cortes, si todos los códigos se usan por igual; en la práctica, las cerraduras que se venden juntas suelen abrirse con la misma llave.",
  "At best 1 in {codes} {keyway} keys is cut the same, if all codes are used equally; but locks are sold with this code, so it is more common than that.":
    "En el mejor de los casos, 1 de cada {codes} llaves {keyway} tendría los mismos cortes, si todos los códigos se usaran por igual; pero se venden cerraduras con este código, así que es más frecuente.",
  "Locks are sold with this code, so it is no secret.":
    "Se venden cerraduras con este código, así que no es ningún secreto.",
  "All cuts are equally deep: the key is flat, easily guessed and easily copied.":
    "Todos los cortes tienen la misma profundidad: la llave es plana, fácil de adivinar y fácil de copiar.",
  "Two neighbouring cuts differ by more than the maker allows (MACS), so one cut removes part of the other. The key may work badly, be worn, or have been misread.":
    "Dos cortes vecinos difieren más de lo que permite el fabricante (MACS), de modo que uno elimina parte del otro. Puede que la llave funcione mal, esté gastada o se haya leído mal.",
  "The cuts only get deeper or only shallower, like a staircase: locksmiths avoid such codes.":
    "Los cortes solo aumentan o solo disminuyen, como una escalera: los cerrajeros evitan esos códigos.",
  "The code has fewer than three different depths. Few such codes exist, and equal cuts let more other keys open the lock.":
    "El código tiene menos de tres profundidades distintas. Hay pocos códigos así, y con cortes iguales más llaves ajenas abren la cerradura.",
  "Three neighbouring cuts are equal, which the rules for good locks forbid.":
    "Tres cortes vecinos son iguales, algo que prohíben las reglas de las buenas cerraduras.",
  "The first cut, next to the bow, is very deep: this is where keys break most easily.":
    "El primer corte, junto a la cabeza, es muy profundo: ahí es donde más fácilmente se rompen las llaves.",
  "The blank is freely available: any shop can copy this key, and a Do Not Duplicate stamp has no legal force.":
    "La llave virgen se vende libremente: cualquier tienda puede copiar esta llave, y el sello «Do Not Duplicate» no tiene valor legal.",
  "The blank is restricted: copies require proof of ownership.":
    "El perfil está protegido: para copiarla hay que demostrar que es tuya.",
  "Bump keys exist for this common keyway; burglars reportedly use them rarely.":
    "Existen llaves bumping para este perfil tan común; según se sabe, los ladrones las usan poco.",
  "An ordinary pin tumbler lock can be bumped; burglars reportedly do so rarely.":
    "Una cerradura corriente de pines se puede abrir con bumping; según se sabe, los ladrones lo usan poco.",
  "The lock is designed to resist bumping.":
    "La cerradura está diseñada para resistir el bumping.",
  "Have the lock rekeyed now: locks are sold with this code.":
    "Haz cambiar ya la combinación de la cerradura: se venden cerraduras con este código.",
  "When the lock is rekeyed, ask for a code with at least three depths that goes up and down.":
    "Cuando se cambie la combinación, pide un código con al menos tres profundidades que suba y baje.",
  "Have the key checked against the lock: the maker would not cut the code as read.":
    "Haz comprobar la llave en la cerradura: el fabricante no tallaría el código leído.",
  "Keep a spare: this key is thin near the bow and may break there.":
    "Ten una copia: esta llave es fina cerca de la cabeza y puede romperse por ahí.",
  "Rekey after moving in or losing a key: nobody knows how many copies exist.":
    "Cambia la combinación al mudarte o si pierdes una llave: nadie sabe cuántas copias hay.",
  "For an important door, ask a locksmith for a cylinder with a restricted keyway and protection against bumping.":
    "Para una puerta importante, pide al cerrajero un bombín con perfil protegido y antibumping.",
  "Do not share pictures of this key: a picture is enough to copy it.":
    "No compartas imágenes de esta llave: una imagen basta para copiarla.",
  "The keyway has {codes} possible codes.": "El perfil tiene {codes} códigos posibles.",
  "No weak pattern was found.": "No se encontró ningún patrón débil.",
  "Weak patterns found: {number}.": "Patrones débiles encontrados: {number}.",
  "The cuts go up and down enough.": "Los cortes suben y bajan lo suficiente.",
  "The cuts go up and down less than recommended.":
    "Los cortes suben y bajan menos de lo recomendado.",
  "Anyone can buy the blank and copy the key.":
    "Cualquiera puede comprar la llave virgen y hacer una copia.",
  "The blank is restricted, so copies require proof of ownership.":
    "El perfil está protegido, así que para copiarla hay que demostrar que es tuya.",
  "The keyway's exposure to bumping is high.": "El perfil está muy expuesto al bumping.",
  "The keyway's exposure to bumping is moderate.":
    "El perfil está moderadamente expuesto al bumping.",
  "The keyway's exposure to bumping is low.": "El perfil está poco expuesto al bumping.",
}
